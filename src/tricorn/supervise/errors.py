"""What can keep an application from running, in words for whoever typed the command."""

from __future__ import annotations


class SuperviseError(Exception):
    """Something to be mended by the reader.

    Args:
        what: what is wrong and with what; one sentence.
        remedy: what to do about it; one sentence.
        log: the last lines of a log that say more.
    """

    def __init__(self, what: str, *, remedy: str, log: str = "") -> None:
        super().__init__(f"{what}\n{remedy}" + (f"\n{log}" if log else ""))
        self.what = what
        self.remedy = remedy
        self.log = log
