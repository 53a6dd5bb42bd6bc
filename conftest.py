"""What every test tree here may use, and what the end of a run tells."""

import signal

import pytest

import agora  # noqa: F401 - the package, before pytest takes the folder of that name for it

pytest_plugins = ["tricorn.data.testing"]


def pytest_configure() -> None:
    """Lets what the tests start hear Ctrl-C: a shell that runs them in the background makes its children ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Figures that tests recorded (`record_property`): a law that was tried says on what."""
    recorded = [pair for report in terminalreporter.getreports("passed") for pair in report.user_properties]
    if recorded:
        terminalreporter.section("recorded")
    for name, value in recorded:
        terminalreporter.write_line(f"{name}: {value}")
