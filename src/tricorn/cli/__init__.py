"""The command line. Nothing is imported before it is known which command runs, so that help answers at once."""

from tricorn.cli.main import main

__all__ = ["main"]
