"""Requests on the wire, tables of them, and how they are played to two gateways that are given here."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tricorn.conformance import CaseError, Gap
from tricorn.conformance.parity import Answer, Ask, Finding, Line, load_tables, play_all
from tricorn.conformance.parity.suite import judge
from tricorn.conformance.parity.tables import Case

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


def ok(body: bytes) -> bytes:
    return OK % (len(body), body)


@asynccontextmanager
async def server(reply: Callable[[bytes], bytes]) -> AsyncIterator[Line]:
    """A server that answers each head (and its body) with the bytes that ``reply`` makes of it; "bye" at their end closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _request(reader):
            said = reply(head)
            writer.write(said.removesuffix(b"bye"))
            await writer.drain()
            if said.endswith(b"bye"):
                break
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        line = Line(*listening.sockets[0].getsockname())
        try:
            yield line
        finally:
            await line.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        return head + (await reader.readexactly(int(length[1])) if length else b"")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def test_a_request_goes_out_as_it_is_written() -> None:
    seen: list[bytes] = []

    async with server(lambda head: seen.append(head) or ok(b"{}")) as line:  # type: ignore[func-returns-value]
        await line.ask(Ask("POST", "/a?b=%zz", (("X-A", "1"), ("X-A", "2")), b"{}"))
        await line.ask(Ask(headers=(("Host", "elsewhere"),)))

    assert (
        seen[0]
        == f"POST /a?b=%zz HTTP/1.1\r\nHost: {line.host}\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    )
    assert seen[1] == b"GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n"


def test_a_body_in_chunks_ends_with_an_empty_one() -> None:
    assert (
        Ask("POST", body=b"x" * 1001, chunked=True)
        .payload("h")
        .endswith(b"\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n0\r\n\r\n")
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (ok(b"{}"), Answer(200, {"content-type": ("application/json",), "content-length": ("2",)}, b"{}")),
        (
            b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"{}"),
            Answer(200, {"content-type": ("application/json",), "content-length": ("2",)}, b"{}"),
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            Answer(200, {"transfer-encoding": ("chunked",)}, b"{}"),
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n{}bye", Answer(200, {}, b"{}")),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}bye",
            Answer(200, {"content-length": ("9",)}, b"{}", cut=True),
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Answer(204, {}, b"")),
    ],
)
async def test_an_answer_is_read_to_its_end_however_it_is_sent(said: bytes, expected: Answer) -> None:
    async with server(lambda _: said) as line:
        answers = await line.ask(Ask())

    assert answers == [expected]


async def test_an_answer_to_head_has_no_body_whatever_it_announces() -> None:
    async with server(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n") as line:
        answers = [await line.ask(Ask("HEAD")) for _ in range(2)]

    assert [answer.status for each in answers for answer in each] == [200, 200]


async def test_raw_requests_are_answered_until_the_connection_ends() -> None:
    async with server(lambda head: ok(b"1") + (b"bye" if b"close" in head else b"")) as line:
        answers = await line.ask(Ask(raw=b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n"))

    assert [answer.body for answer in answers] == [b"1", b"1"]


def tables(folder: Path, text: str) -> tuple[Case, ...]:
    (folder / "some.toml").write_text(text)
    return load_tables(folder).cases


def test_a_table_is_every_combination_of_its_alternatives(tmp_path: Path) -> None:
    cases = tables(
        tmp_path,
        """
        [[table]]
        name = "all of them"
        as = ["", "buyer"]
        method = ["GET", "POST"]
        target = ["/a", "/b"]
        headers = [{}, {X = ["1", "2"]}]
        """,
    )

    assert len(cases) == 16
    assert cases[-1].id == "gateway/some: all of them: POST /b {'X': ['1', '2']} (buyer)"
    assert cases[-1].steps[0].ask.headers == (("X", "1"), ("X", "2"), ("Authorization", "Bearer ${buyer}"))


def test_rows_that_look_alike_are_told_apart(tmp_path: Path) -> None:
    cases = tables(tmp_path, '[[table]]\nname = "twice"\ntarget = ["/a", "/a"]')

    assert [case.id for case in cases] == ["gateway/some: twice: GET /a", "gateway/some: twice: GET /a #2"]


@pytest.mark.parametrize("text", ["[[table]]", '[[table]]\nname = "x"\ntarget = "/"\ncolour = 1', "= 1"])
def test_a_file_that_is_not_of_the_form_says_where(tmp_path: Path, text: str) -> None:
    with pytest.raises(CaseError, match="some"):
        tables(tmp_path, text)


STORY = """
[[story]]
name = "something is made and read"
[[story.step]]
method = "POST"
target = "/things"
keep = {made = "id"}
[[story.step]]
target = "/things/${made}"
"""


class Things:
    """Makes things with ids of its own and shows the last."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._made = 0

    def __call__(self, head: bytes) -> bytes:
        if head.startswith(b"POST"):
            self._made += 1
        return ok(b'{"id": "%b-thing-%d"}' % (self._name.encode(), self._made))


async def test_in_a_story_each_gateway_has_things_of_its_own(tmp_path: Path) -> None:
    cases = tables(tmp_path, STORY)

    async with server(Things("left")) as one, server(Things("right")) as other:
        findings = await play_all([], cases, one, other)

    assert [finding.differences for finding in findings] == [()]


async def test_what_is_not_kept_must_be_the_same(tmp_path: Path) -> None:
    cases = tables(tmp_path, STORY.replace('keep = {made = "id"}', 'keep = {other = "id"}').replace("${made}", "1"))

    async with server(Things("left")) as one, server(lambda _: ok(b'{"id": "left-thing-1"}')) as other:
        same = await play_all([], cases, one, other)
    async with (
        server(Things("left")) as one,
        server(lambda head: ok(b'{"id": 1}' if b"GET" in head else b'{"id": "a thing that is"}')) as other,
    ):
        different = await play_all([], cases, one, other)

    assert same[0].differences == ()
    assert different[0].differences == ("step 2: id: '${other}' is 1",)


async def test_what_the_setup_keeps_is_everyones(tmp_path: Path) -> None:
    (tmp_path / "setup.toml").write_text(STORY)
    cases = tables(tmp_path, '[[table]]\nname = "it is there"\ntarget = "/things/${made}"')
    seen: list[bytes] = []

    async with (
        server(Things("left")) as one,
        server(lambda head: seen.append(head) or ok(b'{"id": "left-thing-1"}')) as other,  # type: ignore[func-returns-value]
    ):
        findings = await play_all(load_tables(tmp_path).setup, cases, one, other)

    assert findings[0].differences == ()
    assert seen[0].startswith(b"GET /things/left-thing-1 ")


async def test_a_step_is_sent_again_until_it_has_the_status_that_is_waited_for(tmp_path: Path) -> None:
    cases = tables(tmp_path, STORY.replace('keep = {made = "id"}', "until = 200").replace("/${made}", ""))
    waits = iter([b"503 Later"] * 3)

    async with (
        server(lambda _: ok(b"{}")) as one,
        server(lambda _: ok(b"{}").replace(b"200 OK", next(waits, b"200 OK"))) as other,
    ):
        findings = await play_all([], cases, one, other)

    assert findings[0].differences == ()


async def test_what_a_gateway_answers_when_it_was_asked_before_is_compared_too(tmp_path: Path) -> None:
    cases = tables(tmp_path, '[[table]]\nname = "asked again"\ntarget = "/"')
    before = iter([b"{}", b"{}"])

    async with server(lambda _: ok(b"{}")) as one, server(lambda _: ok(next(before, b"[]"))) as other:
        findings = await play_all([], cases, one, other)

    assert len(findings[0].differences) == 1


async def test_a_gateway_that_does_not_answer_is_a_finding(tmp_path: Path) -> None:
    cases = tables(tmp_path, '[[table]]\nname = "silence"\ntarget = "/"')

    async with server(lambda _: ok(b"{}")) as one, server(lambda _: b"bye") as other:
        findings = await play_all([], cases, one, other)

    assert findings[0].differences == ("gave 2 answers (200, 200), the candidate gave no answer",)


async def test_a_variable_that_nothing_keeps_is_a_finding(tmp_path: Path) -> None:
    cases = tables(tmp_path, '[[table]]\nname = "nothing"\ntarget = "/${nothing}"')

    async with server(lambda _: ok(b"{}")) as one, server(lambda _: ok(b"{}")) as other:
        findings = await play_all([], cases, one, other)

    assert "the reference could not be asked all of it: nothing is kept as ${nothing}" in findings[0].differences


def finding(name: str, *found: str) -> Finding:
    return Finding(Case(name, ()), found)


def test_a_known_gap_must_still_be_there() -> None:
    gaps = [
        Gap("gateway/a: one", "go", "because"),
        Gap("gateway/b: *", "go", "because"),
        Gap("gateway/c: gone", "go", "because"),
    ]
    findings = [
        finding("gateway/a: one", "x"),
        finding("gateway/b: 1", "x"),
        finding("gateway/b: 2"),
        finding("gateway/d", "x"),
        finding("gateway/e"),
    ]

    outcome = judge(findings, gaps)

    assert [each.case.id for each in outcome.different] == ["gateway/d"]
    assert outcome.closed == ("gateway/c: gone: names no case", "gateway/b: 2: is the same now")
    assert len(outcome.known) == 2
    assert not outcome.passed
    assert judge([finding("gateway/a: one", "x")], gaps[:1]).passed
