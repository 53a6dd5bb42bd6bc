"""Blocks of headers: RFC 7541's own examples, and what its tables may hold."""

import pytest

from tricorn.wire.http2.hpack import BrokenHeadersError, Decoder, literal

_FIRST = {b":method": b"GET", b":scheme": b"http", b":path": b"/", b":authority": b"www.example.com"}
_REQUESTS = [
    _FIRST,
    _FIRST | {b"cache-control": b"no-cache"},
    _FIRST | {b":scheme": b"https", b":path": b"/index.html", b"custom-key": b"custom-value"},
]
_FOUND = {
    b":status": b"302",
    b"cache-control": b"private",
    b"date": b"Mon, 21 Oct 2013 20:13:21 GMT",
    b"location": b"https://www.example.com",
}
_RESPONSES = [
    _FOUND,
    _FOUND | {b":status": b"307"},
    _FOUND
    | {
        b":status": b"200",
        b"date": b"Mon, 21 Oct 2013 20:13:22 GMT",
        b"content-encoding": b"gzip",
        b"set-cookie": b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    },
]


@pytest.mark.parametrize(
    ("table", "blocks", "headers"),
    [
        pytest.param(
            4096,
            (
                "828684410f7777772e6578616d706c652e636f6d",
                "828684be58086e6f2d6361636865",
                "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
            ),
            _REQUESTS,
            id="C.3",
        ),
        pytest.param(
            4096,
            (
                "828684418cf1e3c2e5f23a6ba0ab90f4ff",
                "828684be5886a8eb10649cbf",
                "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
            ),
            _REQUESTS,
            id="C.4",
        ),
        pytest.param(
            256,
            (
                (
                    "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f"
                    "7777772e6578616d706c652e636f6d"
                ),
                "4803333037c1c0bf",
                (
                    "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b"
                    "425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31"
                ),
            ),
            _RESPONSES,
            id="C.5",
        ),
        pytest.param(
            256,
            (
                "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
                "4883640effc1c0bf",
                (
                    "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af270"
                    "87f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"
                ),
            ),
            _RESPONSES,
            id="C.6",
        ),
    ],
)
def test_the_examples_of_the_rfc_are_read_as_it_says(
    table: int, blocks: tuple[str, ...], headers: list[dict[bytes, bytes]]
) -> None:
    decoder = Decoder(table)

    assert [decoder.decoded(bytes.fromhex(block)) for block in blocks] == headers


def _remembered(name: bytes, value: bytes) -> bytes:
    return b"\x40" + literal(name, value)[1:]


def test_the_oldest_headers_make_room_for_new_ones() -> None:
    decoder = Decoder(100)  # two entries of 32 bytes and a few letters
    decoder.decoded(b"".join(_remembered(b"n%d" % number, b"v") for number in range(4)))

    assert decoder.decoded(b"\xbe\xbf") == {b"n3": b"v", b"n2": b"v"}
    with pytest.raises(BrokenHeadersError):
        decoder.decoded(b"\xc0")


def test_a_header_may_take_its_name_from_the_one_that_makes_room_for_it() -> None:
    decoder = Decoder(40)
    decoder.decoded(_remembered(b"name", b"old"))

    assert decoder.decoded(b"\x7e\x03new") == {b"name": b"new"}
    assert decoder.decoded(b"\xbe") == {b"name": b"new"}


@pytest.mark.parametrize("emptied", [_remembered(b"n", b"v" * 100), b"\x20", b"\x20\x3f\x45"])
def test_a_table_is_emptied_by_a_header_that_is_larger_or_a_size_that_is_smaller(emptied: bytes) -> None:
    decoder = Decoder(100)
    decoder.decoded(_remembered(b"a", b"b"))
    decoder.decoded(emptied)

    with pytest.raises(BrokenHeadersError):
        decoder.decoded(b"\xbe")


def test_a_size_may_change_up_to_what_was_allowed() -> None:
    decoder = Decoder(100)

    decoder.decoded(b"\x20\x3f\x45" + _remembered(b"a", b"b"))  # to 0, and to 100 again
    assert decoder.decoded(b"\xbe") == {b"a": b"b"}
    with pytest.raises(BrokenHeadersError):
        decoder.decoded(b"\x3f\x46")


_EVERY_BYTE = bytes.fromhex(  # what golang.org/x/net/http2/hpack makes of the bytes from 0 to 255
    "ffc7fffd8fffffe2fffffe3fffffe4fffffe5fffffe6fffffe7fffffe8ffffeafffffff3fffffa7fffffabffffffdfffffebfffffecfff"
    "ffedfffffeefffffefffffff0ffffff1ffffff2fffffffbfffffcffffffd3fffffd7fffffdbfffffdffffffe3fffffe7fffffebfffffed"
    "4fe3f9ffaffcabf1febfafefe7fdfd2cbb00089969b71d79fb9f7fff20ffbff3ff50ddbd7f061c58f265cd9f469d5af66dddbf871e5f9c"
    "ff7ff7fffc3ff9ffe45fff4719242cb34e6e9d68a6a3d7dac426defe3cfaf7fffbfe7ffbffdffffffcfffe6ffff4bfff9ffffa3fffd3ff"
    "ff53fffd5ffffb3fffeb7fffdaffffb7ffff73fffeeffffdeffffebffffbfffffd9ffffdbfffebffffe0ffffeeffffc3ffff8bffff1fff"
    "fe4fffee7fffb1ffff97fffd9ffffcdffff9fffffbffffdafffeeffff4ffffb7fffee7fffe8ffffd3fffdeffffd5fffeeffffbdffffe1f"
    "ffdfffff7fffff5ffffecffff07fff87fffe0ffff17fffedffff87ffff77fffeffffeaffff8bfffe3ffff93ffff87fffcbffff37ffff1f"
    "ffff83ffffe1fffebfffe3ffff3fffff2ffffa3ffffd9fffff17ffffc7fffff27ffffdefffffbffffff2fffff8fffffb7fff97fff8ffff"
    "fe6fffffc1fffff87ffffe7fffffc5ffffe5fffe4ffff2fffffd1fffff4ffffffefffffe3fffffc9fffff97fffb3ffffcffffb7fffcdff"
    "ff4ffff9ffffd1ffffcffffeaffffafffffddffffeffffff4fffff5fffffabffffa7ffffd7fffff9bffffecfffffb7fffff3fffffe8fff"
    "ffd3fffffabfffff5fffffff7ffffecfffffdbfffffbbfffff7ffffff0fffffbbf"
)


def _packed(text: bytes) -> bytes:
    length = len(text)
    return b"\x00\x01n\xff" + bytes((length - 127) >> 7 * place & 127 | 128 for place in range(2)) + b"\x00" + text


def test_every_byte_may_be_in_a_packed_text() -> None:
    assert Decoder().decoded(_packed(_EVERY_BYTE)) == {b"n": bytes(range(256))}


@pytest.mark.parametrize("ending", [b"\xff", b"\x3f\xff\xff\xff\xff", b"\x00"])
def test_a_packed_text_ends_in_less_than_a_byte_of_ones(ending: bytes) -> None:
    with pytest.raises(BrokenHeadersError):
        Decoder().decoded(_packed(_EVERY_BYTE + ending))


@pytest.mark.parametrize("length", [0, 126, 127, 128, 254, 255, 16_384, 100_000])
def test_a_text_of_any_length_is_read_as_it_was_written(length: int) -> None:
    assert Decoder().decoded(literal(b"name", b"x" * length)) == {b"name": b"x" * length}
