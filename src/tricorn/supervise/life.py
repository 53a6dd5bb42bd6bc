"""What a supervised process does about its supervisor: waits for its word, and does not outlive it."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from typing import Any

_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 15.0


class Life:
    """The supervised end of the pipe whose other end only the supervisor holds.

    The supervisor writes one line, the word to go, and then keeps the pipe open for as long as it lives. Its end means
    that the supervisor is gone, however it went.
    """

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "rb")
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

    def watch(self) -> None:
        """From now on, end this process when the supervisor's end closes: SIGTERM first, after a grace for good."""
        threading.Thread(target=self._watch, name="life", daemon=True).start()

    def _watch(self) -> None:
        while self._file.read(1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(_GRACE_SECONDS)
        os._exit(1)


def _die_with_parent() -> None:
    """On Linux the kernel sends SIGTERM when the supervisor's main thread ends, even if this process reads no pipe."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def say_ready(descriptor: int) -> None:
    """Tell the supervisor that requests are answered from now on."""
    try:
        os.write(descriptor, b"ready\n")
    finally:
        os.close(descriptor)
