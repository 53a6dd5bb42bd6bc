"""What a supervised process does about its supervisor: waits for its word, and does not outlive it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 15.0


class Life:
    """The supervised end of the pipe whose other end only the supervisor holds.

    The supervisor writes one line, the word to go, and then keeps the pipe open for as long as it lives; some processes
    get more words over it later. Its end means that the supervisor is gone, however it went.
    """

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "rb")
        self._lock = threading.Lock()
        self._heard: Callable[[dict[str, Any]], None] | None = None
        self._unheard: list[dict[str, Any]] = []
        _die_with_parent()

    def wait(self) -> dict[str, Any]:
        """Block until the supervisor says go; what it says along (`environment`: variables to set).

        Raises:
            EOFError: the supervisor went away instead.
        """
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the supervisor is gone")
        word: dict[str, Any] = json.loads(line)
        os.environ.update(word.get("environment", {}))
        return word

    def begin(self) -> dict[str, Any]:
        """`wait`, then `watch`."""
        word = self.wait()
        self.watch()
        return word

    def watch(self) -> None:
        """From now on, end this process when the supervisor's end closes: SIGTERM first, after a grace for good."""
        threading.Thread(target=self._watch, name="life", daemon=True).start()

    def listen(self, heard: Callable[[dict[str, Any]], None]) -> None:
        """Have `heard` called, in another thread, with each word that comes after the first; at once with those that came already."""
        with self._lock:
            self._heard = heard
            for word in self._unheard:
                heard(word)
            self._unheard = []

    def _watch(self) -> None:
        while (line := self._file.readline()).endswith(b"\n"):
            with self._lock:
                word = json.loads(line)
                if self._heard is None:
                    self._unheard.append(word)
                else:
                    self._heard(word)
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(_GRACE_SECONDS)
        os._exit(1)


def _die_with_parent() -> None:
    """On Linux the kernel sends SIGTERM when the supervisor's main thread ends, even if this process reads no pipe."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def say(descriptor: int, **line: Any) -> None:
    """Tell the supervisor something; it waits for no answer."""
    with contextlib.suppress(BrokenPipeError):
        os.write(descriptor, json.dumps(line).encode() + b"\n")


def say_ready(descriptor: int) -> None:
    """Tell the supervisor that requests are answered from now on."""
    try:
        os.write(descriptor, b"ready\n")
    finally:
        os.close(descriptor)
