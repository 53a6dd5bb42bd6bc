"""`tricorn conformance` as it is typed."""

import json
import subprocess
import sys
from pathlib import Path

AGORA = Path(__file__).resolve().parents[2] / "agora"


def conformance(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tricorn", "--app", str(AGORA), "conformance", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def test_options_hold_after_the_names_as_well(tmp_path: Path) -> None:
    nobody = f"unix:{tmp_path}/nobody"

    result = conformance("signing", "--against", nobody, "--json")

    report = json.loads(result.stdout)
    assert result.returncode == 1
    assert report["against"] == nobody
    assert len(report["failures"]) == report["cases"] > 0


def test_a_name_that_nothing_has_is_an_error() -> None:
    result = conformance("nosuch")

    assert result.returncode == 2
    assert "no context or contract 'nosuch'" in result.stdout + result.stderr
