"""Messages one after the other in a file, each after its length as a base-128 varint, as protobuf's own libraries write them."""

from collections.abc import Iterator
from typing import BinaryIO

from tricorn.prove.errors import ProveError

MOST_BYTES = 20 * 1024 * 1024
"""The longest entry: a request and an answer, each as long as the wire lets through, and what is said about them."""

_LONGEST_PREFIX = 10


class BrokenOff(Exception):  # noqa: N818 - it tells where a file ends, which is no defect of ours
    """The file ends, or stops making sense, in the middle of an entry that begins at byte ``position``."""

    def __init__(self, position: int, why: str) -> None:
        super().__init__(f"at byte {position}: {why}")
        self.position = position


def framed(content: bytes) -> bytes:
    """An entry as it stands in the file."""
    prefix = bytearray()
    length = len(content)
    while length > 0x7F:  # noqa: PLR2004 - what seven bits hold
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + content


def entries(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Where each entry begins, and its content.

    Raises:
        BrokenOff: The file ends within an entry.
        ProveError: An entry claims to be longer than `MOST_BYTES`; it is not read.
    """
    while True:
        position = file.tell()
        length = _length(file, position)
        if length is None:
            return
        if length > MOST_BYTES:
            raise ProveError(
                f"{name}: the entry at byte {position} claims to be {length / 1e6:,.1f} MB long; the most is {MOST_BYTES / 1e6:,.1f} MB",
                remedy="the file is damaged, or `tricorn record` did not make it; record again",
            )
        content = file.read(length)
        if len(content) < length:
            raise BrokenOff(position, f"{length - len(content)} of {length} bytes are missing")
        yield position, content


def _length(file: BinaryIO, position: int) -> int | None:
    length = 0
    for index in range(_LONGEST_PREFIX):
        byte = file.read(1)
        if not byte:
            if index == 0:
                return None
            raise BrokenOff(position, "the file ends in the length of an entry")
        length |= (byte[0] & 0x7F) << (7 * index)
        if byte[0] < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            return length
    raise BrokenOff(position, "no length stands here")
