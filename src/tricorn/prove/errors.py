"""What the commands that prove cannot do, in words for whoever typed them."""

from typing import Any


class ProveError(Exception):
    """Something to be mended by the reader.

    Args:
        what: What is wrong and with what; one sentence.
        remedy: What to do about it; one sentence.
    """

    def __init__(self, what: str, *, remedy: str) -> None:
        super().__init__(f"{what}\n{remedy}")
        self.what = what
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        """It may be raised in a process that works for another."""
        return _again, (type(self), self.what, self.remedy)


def _again(kind: "type[ProveError]", what: str, remedy: str) -> "ProveError":
    return kind(what, remedy=remedy)
