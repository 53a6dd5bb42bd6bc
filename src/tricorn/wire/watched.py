"""Files that another process replaces while this one runs: bindings and endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from tricorn import telemetry
from tricorn.wire.bindings import Bindings, parse_bindings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")
_log = telemetry.get_logger("tricorn.wire")


class WatchedFile(Generic[_T]):
    """What a file said when it last made sense. Reading happens in `poll` alone; nothing else touches the disk.

    Args:
        path: The file, which is replaced as a whole.
        parse: Reads its bytes; raises ValueError for what makes no sense.
        empty: What holds as long as there never was a file.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], _T], empty: _T) -> None:
        self.path = path
        self.current = empty
        self.problem = ""
        """What is wrong with the file as it lies there now, while what it said before still holds."""
        self._parse = parse
        self._seen: tuple[int, int, int] | None = None

    def poll(self) -> bool:
        """Looks whether the file was replaced; true when something else holds now. Rubbish is logged, once, and changes nothing."""
        try:
            status = self.path.stat()
        except OSError as error:
            if self._seen is not None:
                self._seen = None
                self._complain(f"cannot be read any more: {error.strerror}")
            return False
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            found = self._parse(self.path.read_bytes())
        except (OSError, ValueError) as error:
            self._complain(str(error))
            return False
        self.problem = ""
        changed = found != self.current
        self.current = found
        return changed

    def _complain(self, what: str) -> None:
        self.problem = f"{self.path.name}: {what}"
        _log.error("a file makes no sense; what it said before still holds", file=str(self.path), problem=what)


class BindingsFile(WatchedFile[Bindings]):
    """The bindings as the supervisor last wrote them; Python answers everything as long as there never was a file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, parse_bindings, Bindings())
