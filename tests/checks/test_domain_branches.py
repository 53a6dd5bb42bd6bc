"""The conformance cases alone reach the rules: at least 95 of 100 lines and branches of each context's domain."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEAST_PERCENT = 95
CONTEXTS = 7


@pytest.mark.full
def test_the_cases_reach_the_branches_of_the_domains(tmp_path: Path) -> None:
    data, report = tmp_path / "data", tmp_path / "report.json"
    cases = "test_the_python_implementation_behaves_as_its_contract_says"

    for command in (
        ["run", "--branch", f"--data-file={data}", "--source=agora/src/agora", "-m", "pytest", "-q", "-m", "not full",
         "-k", cases, "agora/tests/conformance"],
        ["json", f"--data-file={data}", "--include=*/domain.py,*/domain/*", "-o", str(report)],
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "coverage", *command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=3600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    there, reached = Counter[str](), Counter[str]()
    for name, file in json.loads(report.read_text())["files"].items():
        context, seen = name.split("/")[3], file["summary"]
        there[context] += seen["num_statements"] + seen["num_branches"]
        reached[context] += seen["covered_lines"] + seen["covered_branches"]
    percent = {context: round(100 * reached[context] / there[context], 1) for context in there if there[context]}
    assert len(percent) == CONTEXTS
    assert {context: share for context, share in percent.items() if share < LEAST_PERCENT} == {}
