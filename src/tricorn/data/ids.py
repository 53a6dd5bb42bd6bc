"""Identifiers that sort by the time they were made (RFC 9562, version 7)."""

import os
import threading
import time

_COUNTER_BITS = 74
_lock = threading.Lock()
_last_milliseconds = 0
_last_counter = 0


def _forget_counter() -> None:
    global _last_milliseconds  # noqa: PLW0603 - the counter is the process's, which is what a fork has to reset
    _last_milliseconds = 0


os.register_at_fork(after_in_child=_forget_counter)


def uuid7() -> str:
    """A UUIDv7 in its canonical text form.

    Within a process every value is greater than the one before, also when the clock stands still or steps back
    (RFC 9562 section 6.2, method 2: the 74 random bits are seeded each millisecond and then counted up).
    """
    global _last_milliseconds, _last_counter  # noqa: PLW0603 - as above
    with _lock:
        now = time.time_ns() // 1_000_000
        if now > _last_milliseconds:
            _last_milliseconds = now
            # The top bit starts at zero, so that counting up has room before it overflows into the time.
            _last_counter = int.from_bytes(os.urandom(10), "big") & ((1 << (_COUNTER_BITS - 1)) - 1)
        else:
            _last_counter += 1 + int.from_bytes(os.urandom(3), "big")
        milliseconds, counter = _last_milliseconds, _last_counter
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76
    value |= (counter >> 62) << 64
    value |= 0b10 << 62
    value |= counter & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
