"""HPACK (RFC 7541). What is written refers to nothing before it; what is read may, where the peer was allowed a table."""

from collections import deque
from functools import lru_cache

Headers = dict[bytes, bytes]
TABLE_BYTES = 4096
"""What a peer may have remembered as long as nothing else was said."""

_WITH_VALUES = (
    (b":authority", b""),
    *((b":method", value) for value in (b"GET", b"POST")),
    *((b":path", value) for value in (b"/", b"/index.html")),
    *((b":scheme", value) for value in (b"http", b"https")),
    *((b":status", value) for value in (b"200", b"204", b"206", b"304", b"400", b"404", b"500")),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
)
_NAMES = (
    b"accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control"
    b" content-disposition content-encoding content-language content-length content-location content-range content-type"
    b" cookie date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since"
    b" last-modified link location max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after"
    b" server set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate"
).split()
_STATIC = (*_WITH_VALUES, *((name, b"") for name in _NAMES))

# The bits that each byte takes. The codes follow: they rise with their length, and within it with the byte.
_BITS = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b08060606"
    "0505050606060606060607080f060c0a0d06070707070707070707070707070707070707070707070807080d130d0e06"
    "0f05060506050606060507070606060506070605050607070707070f0b0e0d1c14161414161616171617171717171817"
    "181816171817171717151617161717181615141616171715171616181516171715151615171617171416161617161617"
    "1a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b14181415161515171616191918181a17"
    "1a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a"
)
_BYTE = 8

_INDEXED = 0x80
_REMEMBERED = 0x40
_SIZE_MASK, _SIZE = 0xE0, 0x20
_HUFFMAN = 0x80
_MORE = 0x80
_SHORT = 0x7F
_MOST_SHIFT = 28
_ENTRY = 32  # bytes that an entry counts besides its texts
_SHORT_BLOCK = 1024


def _codes() -> dict[str, int]:
    codes: dict[str, int] = {}
    code = length = 0
    for symbol in sorted(range(len(_BITS)), key=lambda symbol: (_BITS[symbol], symbol)):
        code <<= _BITS[symbol] - length
        length = _BITS[symbol]
        codes[f"{code:0{length}b}"] = symbol
        code += 1
    return codes


_CODES = _codes()
_LONGEST = max(_BITS)
_STEPS: dict[tuple[str, int], tuple[str, bytes]] = {}
"""What was worked out of `_step`: at most 256 for each beginning of a code."""


class BrokenHeadersError(ValueError):
    """A block of headers that makes no sense, or refers to one before it."""


def literal(name: bytes, value: bytes) -> bytes:
    """A header that nobody is to remember."""
    return b"\x00" + text(name) + text(value)


def text(content: bytes) -> bytes:
    """A text with its length."""
    length = len(content)
    if length < _SHORT:
        return bytes((length,)) + content
    head = bytearray((_SHORT,))
    length -= _SHORT
    while length >= _MORE:
        head.append(length % _MORE | _MORE)
        length //= _MORE
    head.append(length)
    return bytes(head) + content


class Decoder:
    """Reads the blocks of headers of one connection, in their order.

    Args:
        allowed: How much the peer may have remembered: bytes, as RFC 7541 counts them (section 4.1).
    """

    def __init__(self, allowed: int = TABLE_BYTES) -> None:
        self._allowed = allowed
        self._limit = allowed
        self._table: deque[tuple[bytes, bytes]] = deque()
        self._size = 0

    def decoded(self, block: bytes) -> Headers:
        """The headers of a block, the last of each name.

        Raises:
            BrokenHeadersError: There are none. No block after it can be read.
        """
        headers: Headers = {}
        at = 0
        try:
            while at < len(block):
                first = block[at]
                if first & _INDEXED:
                    index, at = _integer(block, at, 7)
                    name, value = self._at(index)
                elif first & _SIZE_MASK == _SIZE:
                    size, at = _integer(block, at, 5)
                    if size > self._allowed:
                        raise BrokenHeadersError("a table that was not allowed")
                    self._limit = size
                    self._forget(0)
                    continue
                else:
                    index, at = _integer(block, at, 6 if first & _REMEMBERED else 4)
                    name, at = (self._at(index)[0], at) if index else _text_at(block, at)
                    value, at = _text_at(block, at)
                    if first & _REMEMBERED:
                        self._remember(name, value)
                headers[name] = value
        except IndexError:
            raise BrokenHeadersError("a block that is broken off") from None
        return headers

    def _at(self, index: int) -> tuple[bytes, bytes]:
        if 1 <= index <= len(_STATIC):
            return _STATIC[index - 1]
        if not len(_STATIC) < index <= len(_STATIC) + len(self._table):
            raise BrokenHeadersError("a header that was never sent")
        return self._table[index - len(_STATIC) - 1]

    def _remember(self, name: bytes, value: bytes) -> None:
        size = len(name) + len(value) + _ENTRY
        self._forget(size)
        if size <= self._limit:
            self._table.appendleft((name, value))
            self._size += size

    def _forget(self, room: int) -> None:
        """Drops the oldest until there is room."""
        while self._table and self._size + room > self._limit:
            name, value = self._table.pop()
            self._size -= len(name) + len(value) + _ENTRY


def decoded(block: bytes) -> Headers:
    """The headers of a block of a peer that is allowed no table, the last of each name.

    Those of short blocks are remembered: nobody may change them.

    Raises:
        BrokenHeadersError: There are none.
    """
    return _remembered(block) if len(block) <= _SHORT_BLOCK else _decoded(block)


def _decoded(block: bytes) -> Headers:
    return Decoder(0).decoded(block)


_remembered = lru_cache(maxsize=256)(_decoded)


def _integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    most = (1 << bits) - 1
    value = block[at] & most
    at += 1
    if value < most:
        return value, at
    for shift in range(0, _MOST_SHIFT, 7):
        more = block[at]
        at += 1
        value += more % _MORE << shift
        if more < _MORE:
            return value, at
    raise BrokenHeadersError("a number that is too large")


def _text_at(block: bytes, at: int) -> tuple[bytes, int]:
    packed = block[at] & _HUFFMAN
    length, at = _integer(block, at, 7)
    end = at + length
    if end > len(block):
        raise BrokenHeadersError("a text that is broken off")
    content = block[at:end]
    return _unpacked(content) if packed else content, end


def _unpacked(content: bytes) -> bytes:
    found: list[bytes] = []
    state = ""
    for byte in content:
        step = _STEPS.get((state, byte)) or _step(state, byte)
        state = step[0]
        if step[1]:
            found.append(step[1])
    if len(state) >= _BYTE or "0" in state:
        raise BrokenHeadersError("a text whose end is none")
    return b"".join(found)


def _step(state: str, byte: int) -> tuple[str, bytes]:
    """What the bits of a byte end, after those that were left of the one before; and what they leave."""
    symbols = bytearray()
    rest = state
    for bit in f"{byte:08b}":
        rest += bit
        symbol = _CODES.get(rest)
        if symbol is not None:
            symbols.append(symbol)
            rest = ""
        elif len(rest) >= _LONGEST:
            raise BrokenHeadersError("a text in a code that there is not")
    step = _STEPS[state, byte] = rest, bytes(symbols)
    return step
