"""Messages in a stream of bytes: each behind five bytes, whether it is compressed and how long it is."""

import asyncio
from collections import deque

from tricorn.contract import PlatformReason, Refusal

PREFIX = 5


def framed(message: bytes) -> bytes:
    """A message as it is sent."""
    return b"\x00" + len(message).to_bytes(4) + message


class Messages:
    """What one side of a call has said so far.

    Args:
        most_bytes: The longest message.
    """

    __slots__ = ("_come", "_most_bytes", "_unread", "_whole", "ended")

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._unread = bytearray()
        self._whole: deque[bytes] = deque()
        self._come: asyncio.Future[None] | None = None
        self.ended = False

    def add(self, data: bytes) -> None:
        """More of it.

        Raises:
            Refusal: A message is too long, or compressed.
        """
        unread, whole = self._unread, len(data) - PREFIX
        if not unread and data[:1] == b"\x00" and int.from_bytes(data[1:PREFIX]) == whole <= self._most_bytes:
            self._whole.append(data[PREFIX:])  # as most come: one, in one piece
            self._wake()
            return
        unread += data
        at = 0
        while len(unread) - at >= PREFIX:
            size = int.from_bytes(unread[at + 1 : at + PREFIX])
            if unread[at]:
                raise Refusal(PlatformReason.UNIMPLEMENTED, "compressed messages are not taken")
            if size > self._most_bytes:
                raise Refusal(PlatformReason.PAYLOAD_TOO_LARGE, f"a message of {size} bytes")
            end = at + PREFIX + size
            if end > len(unread):
                break
            self._whole.append(bytes(unread[at + PREFIX : end]))
            at = end
        del unread[:at]
        self._wake()

    def end(self) -> None:
        """There is no more."""
        self.ended = True
        self._wake()

    def only(self) -> bytes:
        """The message of which all of it consists.

        Raises:
            Refusal: It is not one whole message.
        """
        if len(self._whole) != 1 or self._unread:
            raise Refusal(PlatformReason.INVALID_ARGUMENT, "the request is not one message")
        return self._whole.popleft()

    async def next(self) -> bytes | None:
        """The next one; None behind the last.

        Raises:
            Refusal: The last one is broken off.
        """
        while not self._whole:
            if self.ended:
                if self._unread:
                    raise Refusal(PlatformReason.INVALID_ARGUMENT, "the last message is broken off")
                return None
            self._come = asyncio.get_running_loop().create_future()
            await self._come
        return self._whole.popleft()

    def _wake(self) -> None:
        if self._come is not None and not self._come.done():
            self._come.set_result(None)
