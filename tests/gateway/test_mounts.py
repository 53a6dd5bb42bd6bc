import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tricorn.gateway import Limits, Mount

pytestmark = pytest.mark.usefixtures("toy")


class Mounted:
    """An application that answers with what it was asked."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                stage = (await receive())["type"]
                self.stages.append(stage)
                await send({"type": f"{stage}.complete"})
            return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            return
        self.headers = scope["headers"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": scope["path"].encode()})


async def test_a_mount_gets_every_path_below_its_prefix(make_gateway: Any, make_client: Any) -> None:
    inner, outer = Mounted(), Mounted()
    gateway = make_gateway(mounts=[Mount("/admin", app=outer), Mount("/admin/static/", app=inner)])
    async with make_client(gateway) as client:
        pages = [(await client.get(path)).text for path in ("/admin", "/admin/", "/admin/x", "/admin/static/a.css")]
        beside = await client.get("/administrator")

    assert pages == ["/admin", "/admin/", "/admin/x", "/admin/static/a.css"]
    assert beside.status_code == 404
    assert inner.headers
    assert outer.headers


async def test_headers_that_outsiders_must_not_set_do_not_arrive(make_gateway: Any, make_client: Any) -> None:
    app = Mounted()
    sent = {"tricorn-user": "root", "x-forwarded-for": "1.1.1.1", "x-forwarded-proto": "https", "x-other": "kept"}
    async with make_client(make_gateway(mounts=[Mount("/admin", app=app)])) as client:
        await client.get("/admin", headers=sent)
    async with make_client(
        make_gateway(mounts=[Mount("/admin", app=app)], trusted_proxies=["203.0.113.0/24"])
    ) as client:
        first = dict(app.headers)
        await client.get("/admin", headers=sent)
        second = dict(app.headers)

    assert first[b"x-other"] == b"kept"
    assert not {b"tricorn-user", b"x-forwarded-for", b"x-forwarded-proto"} & first.keys()
    assert second[b"x-forwarded-for"] == b"1.1.1.1"
    assert b"tricorn-user" not in second


async def test_only_an_answer_that_says_that_something_changed_ends_what_is_kept(
    make_gateway: Any, make_client: Any, backend: Any, toy: Any
) -> None:
    versions = iter(range(1, 9))
    backend.answers["GetShelf"] = lambda _: toy.Shelf(version=next(versions))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del receive
        said = [(b"Tricorn-Changed", b"1")] if scope["path"] == "/admin/changed" else []
        await send({"type": "http.response.start", "status": 302, "headers": said})
        await send({"type": "http.response.body", "body": b""})

    async with make_client(make_gateway(mounts=[Mount("/admin", app=app)])) as client:
        seen = []
        for path in ("/admin/form", "/admin/changed", "/admin/form"):
            seen.append((await client.get("/v1/shelves/s1")).json()["version"])
            told = (await client.post(path)).headers
            assert "tricorn-changed" not in told
        seen.append((await client.get("/v1/shelves/s1")).json()["version"])

    assert seen == [1, 1, 2, 2]


async def test_start_and_stop_reach_the_mounts_that_know_them(make_gateway: Any) -> None:
    knows = Mounted()

    async def knows_not(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        del receive, send

    gateway = make_gateway(mounts=[Mount("/a", app=knows), Mount("/b", app=knows_not)])
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await gateway({"type": "lifespan", "asgi": {}, "state": {}}, receive, send)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert knows.stages == ["lifespan.startup", "lifespan.shutdown"]


async def test_websockets_reach_mounts_and_are_closed_elsewhere(make_gateway: Any) -> None:
    gateway = make_gateway(mounts=[Mount("/live", app=Mounted())])

    async def talk(path: str) -> list[str]:
        sent = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await gateway({"type": "websocket", "path": path, "headers": [], "client": None}, receive, send)
        return sent

    assert await talk("/live/chat") == ["websocket.accept"]
    assert await talk("/v1/books") == ["websocket.close"]


@pytest.mark.parametrize(
    "mounts",
    [
        [Mount("/", app=Mounted())],
        [Mount("admin", app=Mounted())],
        [Mount("/a")],
        [Mount("/a", app=Mounted(), socket="/x")],
        [Mount("/a", app=Mounted()), Mount("/a/", app=Mounted())],
    ],
)
def test_a_mount_that_makes_no_sense_is_an_error_at_start(make_gateway: Any, mounts: list[Mount]) -> None:
    with pytest.raises(ValueError, match="mount"):
        make_gateway(mounts=mounts)


async def upstream(path: str) -> asyncio.Server:
    """Another process's server: answers with its request, and echoes after an upgrade."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"upgrade: echo" in head.lower():
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n")
            while data := await reader.read(1000):
                writer.write(data)
            writer.close()
            return
        length = next(
            (int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: ")), 0
        )
        body = await reader.readexactly(length) if length else b""
        if b"transfer-encoding: chunked" in head.lower():
            try:
                body = await reader.readuntil(b"0\r\n\r\n")
            except asyncio.IncompleteReadError:  # it was not passed on to its end
                writer.close()
                return
        answer = head + body
        writer.write(b"HTTP/1.1 201 Created\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(answer), answer))
        await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(serve, path)


async def test_a_request_below_a_socket_mount_goes_to_the_other_process(
    make_gateway: Any, make_client: Any, tmp_path: Any
) -> None:
    path = str(tmp_path / "s")
    other = await upstream(path)
    async with other, make_client(make_gateway(mounts=[Mount("/live", socket=path)])) as client:
        answer = await client.post("/live/chat?a=b%20c", content=b"hello", headers={"tricorn-user": "root"})

    assert answer.status_code == 201
    assert answer.text.startswith("POST /live/chat?a=b%20c HTTP/1.1\r\n")
    assert answer.text.endswith("hello")
    assert "x-forwarded-for: 203.0.113.7" in answer.text
    assert "tricorn-user" not in answer.text


async def _chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 100):
        yield b"x" * 100


@pytest.mark.parametrize("is_elsewhere", [False, True])
async def test_a_body_for_a_mount_may_be_as_large_as_any_other(
    make_gateway: Any, make_client: Any, tmp_path: Any, is_elsewhere: bool
) -> None:
    async def reads(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    path = str(tmp_path / "s")
    mount = Mount("/live", socket=path) if is_elsewhere else Mount("/live", app=reads)
    other = await upstream(path)
    async with other, make_client(make_gateway(mounts=[mount], limits=Limits(body=1000))) as client:
        taken = await client.post("/live", content=b"x" * 1000)
        refused = [await client.post("/live", content=body) for body in (b"x" * 1001, _chunks(2000))]

    assert taken.status_code == 201
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(413, "PAYLOAD_TOO_LARGE")] * 2
    assert {each.headers["connection"] for each in refused} == {"close"}


async def test_a_process_that_is_not_there_is_503(make_gateway: Any, make_client: Any, tmp_path: Any) -> None:
    async with make_client(make_gateway(mounts=[Mount("/live", socket=str(tmp_path / "none"))])) as client:
        answer = await client.get("/live")

    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")


async def test_an_upgrade_below_a_socket_mount_becomes_a_tunnel(make_gateway: Any, serving: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "s")
    other = await upstream(path)
    async with other, serving(make_gateway(mounts=[Mount("/live", socket=path)])) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(b"GET /live/x HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"x" * 100_000)
        async with asyncio.timeout(5):
            echoed = await reader.readexactly(100_000)
        writer.close()

    assert head.startswith(b"HTTP/1.1 101 ")
    assert echoed == b"x" * 100_000


async def test_an_upgrade_elsewhere_is_an_ordinary_request(make_gateway: Any, serving: Any) -> None:
    async with serving(make_gateway()) as at, httpx.AsyncClient() as client:
        answer = await client.get(f"{at.url}/v1/books/b1", headers={"connection": "Upgrade", "upgrade": "websocket"})

    assert answer.status_code == 200
