"""What every test tree here may use, and what the end of a run tells."""

import pytest

import agora  # noqa: F401 - the package, before pytest takes the folder of that name for it

pytest_plugins = ["tricorn.data.testing"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Figures that tests recorded (`record_property`): a law that was tried says on what."""
    recorded = [pair for report in terminalreporter.getreports("passed") for pair in report.user_properties]
    if recorded:
        terminalreporter.section("recorded")
    for name, value in recorded:
        terminalreporter.write_line(f"{name}: {value}")
