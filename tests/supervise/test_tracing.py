"""The receiver of spans: what it takes, from whom, and how much of it is kept."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tricorn.supervise import tracing
from tricorn.supervise.tracing import CURRENT, FOLDER, OLDER, SpanKeeper


@pytest.fixture
async def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mapping[str, str]]:
    """The variables of one that listens."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "TRICORN_TRACE_RATE"):
        monkeypatch.delenv(name, raising=False)
    keeper = SpanKeeper(tmp_path)
    yield await keeper.start()
    await keeper.stop()


async def post(variables: Mapping[str, str], body: bytes, **headers: str) -> int:
    name, _, token = variables["OTEL_EXPORTER_OTLP_TRACES_HEADERS"].partition("=")
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            variables["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], content=body, headers={name: token, **headers}
        )
    return answer.status_code


async def test_what_is_posted_is_kept_after_its_length(keeper: Mapping[str, str], tmp_path: Path) -> None:
    assert [await post(keeper, b"one"), await post(keeper, b"three")] == [200, 200]

    path = tmp_path / FOLDER / CURRENT
    assert path.read_bytes() == b"\0\0\0\3one\0\0\0\5three"
    assert path.stat().st_mode & 0o777 == 0o600


async def test_who_asks_for_it_finds_the_connection_closed_behind_the_answer(keeper: Mapping[str, str]) -> None:
    address = urlsplit(keeper["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
    token = keeper["OTEL_EXPORTER_OTLP_TRACES_HEADERS"].replace("=", ": ", 1)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"POST {address.path} HTTP/1.1\r\n{token}\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx".encode())

    async with asyncio.timeout(10):
        answer = await reader.read()

    assert answer.startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_who_does_not_know_the_token_writes_nothing(keeper: Mapping[str, str], tmp_path: Path) -> None:
    stranger = {**keeper, "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-tricorn-spans=guessed"}

    assert await post(stranger, b"x") == 403
    assert not (tmp_path / FOLDER / CURRENT).exists()


async def test_what_is_too_large_or_packed_is_refused(keeper: Mapping[str, str]) -> None:
    assert await post(keeper, b"x", **{"Content-Encoding": "gzip"}) == 415
    assert (
        await post(
            {**keeper, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": keeper["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] + "s"}, b"x"
        )
        == 404
    )


async def test_of_much_only_the_last_is_kept(
    keeper: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_FILE_BYTES", 20)

    for number in range(10):
        await post(keeper, b"%10d" % number)

    kept = [(tmp_path / FOLDER / name).read_bytes() for name in (OLDER, CURRENT)]
    assert kept == [b"".join(b"\0\0\0\x0a%10d" % number for number in numbers) for numbers in ((6, 7), (8, 9))]


@pytest.mark.parametrize(
    ("variable", "value"), [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector"), ("TRICORN_TRACE_RATE", "0")]
)
async def test_where_spans_go_elsewhere_or_nowhere_none_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    keeper = SpanKeeper(tmp_path)

    assert await keeper.start() == {}
    await keeper.stop()
    assert not (tmp_path / FOLDER).exists()
