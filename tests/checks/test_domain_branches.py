"""The conformance cases alone reach the rules: at least 95 of 100 lines and branches of every context's domain together."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEAST_PERCENT = 95


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
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    totals = json.loads(report.read_text())["totals"]
    reached = totals["covered_lines"] + totals["covered_branches"]
    assert 100 * reached / (totals["num_statements"] + totals["num_branches"]) >= LEAST_PERCENT
