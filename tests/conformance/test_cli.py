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


def test_an_implementation_that_is_not_there_is_an_error() -> None:
    result = conformance("--against", "cobol")

    assert result.returncode == 2
    assert (
        "no implementation 'cobol'; choose one of python, python-grpc, process, go, rust"
        in result.stderr + result.stdout
    )


def test_a_native_part_that_is_not_built_is_an_error(tmp_path: Path) -> None:
    result = conformance("signing", "--against", "rust", "--home", str(tmp_path))

    assert result.returncode == 2
    assert "engine is not built" in result.stderr + result.stdout


def test_a_gateway_that_is_not_there_is_an_error() -> None:
    result = conformance("gateway", "--against", "cobol")

    assert result.returncode == 2
    assert "agora has no gateway in 'cobol'; choose one of: go, python" in result.stderr + result.stdout
