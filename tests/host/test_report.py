"""The file in which a process says what it knows of its calls to others."""

import json
from pathlib import Path

from tricorn.host.report import WireReport
from tricorn.wire.bindings import REPORTS


def test_a_report_that_could_not_be_written_is_written_once_it_can_be(tmp_path: Path) -> None:
    folder = tmp_path / REPORTS
    folder.write_text("in the way")
    report = WireReport(tmp_path, "shop")
    report.write(generation=7, problems=[], open_breakers=[], fallbacks={})
    folder.unlink()

    report.write(generation=7, problems=[], open_breakers=[], fallbacks={})

    assert json.loads((folder / "shop.json").read_text())["generation"] == 7
