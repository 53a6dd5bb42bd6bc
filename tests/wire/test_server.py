"""A process's contracts behind gRPC, as grpcio sees them: kinds of call, health, reflection, the socket and its lock."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from http2_caller import Caller, head, message, request
from http2_server import DATA, END_HEADERS, END_STREAM, HEADERS, SETTINGS, Frame
from metering import SERVICE, Meters, hosting
from sides import Served

from tricorn.contract import method_policy
from tricorn.wire import GrpcServer
from tricorn.wire.http2.peer import PREFACE

_LOCALHOST = ("grpc.default_authority", "localhost")
_SERVING, _NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
async def channel(native: Served) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(native.address, options=[_LOCALHOST]) as channel:
        yield channel


def _call(channel: grpc.aio.Channel, method: str) -> Any:
    policy = method_policy(f"{SERVICE}/{method}")
    kind = channel.unary_stream if policy.server_streaming else channel.unary_unary
    return kind(f"/{policy.full_name}", policy.input.SerializeToString, policy.output.FromString)


def _asked(method: str, **fields: Any) -> Any:
    return method_policy(f"{SERVICE}/{method}").input(**fields)


async def test_a_stream_is_read_whole_and_one_that_is_given_up_ends(channel: grpc.aio.Channel, native: Served) -> None:
    numbers = [each.number async for each in _call(channel, "Watch")(_asked("Watch", readings=3000), timeout=30)]
    given_up = _call(channel, "Watch")(_asked("Watch", readings=1, what="stay"), timeout=30)
    async for _ in given_up:
        break
    given_up.cancel()

    assert numbers == list(range(3000))
    assert (await _call(channel, "Read")(_asked("Read"), timeout=30)).answered_by == "rust"


@pytest.mark.parametrize("size", [0, 16_379, 16_380, 65_530, 3_000_000])
async def test_an_answer_of_any_length_arrives(size: int, channel: grpc.aio.Channel, native: Served) -> None:
    native.name = "n" * size
    unlimited = ("grpc.max_receive_message_length", -1)

    async with grpc.aio.insecure_channel(native.address, options=[_LOCALHOST, unlimited]) as wide:
        answers = await asyncio.gather(
            *(_call(wide, "Read")(_asked("Read", what="x" * (size // 100)), timeout=30) for _ in range(3))
        )

    assert {each.answered_by for each in answers} == {native.name}


@pytest.mark.parametrize(
    ("said", "status"),
    [
        *((each, 0) for each in (b"5S", b"9999999H", b"1M", b"99999999u", b"2000m", b"99999999n")),
        *((each, 4) for each in (b"0S", b"1n")),
        *((each, 3) for each in (b"5", b"S", b"5s", b"-1S", b"1.5S", b"123456789S", b"\xb2S", b" 5S")),
    ],
)
async def test_a_caller_says_how_long_it_waits(said: bytes, status: int, native: Served) -> None:
    caller = await _dialled(native.address)
    block = head(f"/{SERVICE}/Read", (b"grpc-timeout", said))

    asked = _asked("Read", what="wait" if status == 4 else "").SerializeToString()
    caller.say(Frame(HEADERS, END_HEADERS, 1, block), Frame(DATA, END_STREAM, 1, message(asked)))

    assert (await caller.answered(1)).status == status
    assert all(call.remaining() < 2 for call in native.calls)  # what the contract allows
    caller.writer.close()


async def _dialled(address: str) -> Caller:
    caller = Caller(*await asyncio.open_unix_connection(address.removeprefix("unix:")))
    caller.writer.write(PREFACE + Frame(SETTINGS, 0, 0, b"").packed)
    return caller


async def test_health_is_told_by_contract_and_who_watches_is_told_that_the_server_leaves(
    generated: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = GrpcServer(hosting(Meters("python")), f"unix:{tmp_path_factory.mktemp('s')}/s")
    await server.start()
    async with grpc.aio.insecure_channel(server.address, options=[_LOCALHOST]) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        known = [
            (await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=30)).status
            for name in ("", SERVICE)
        ]
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await health.Check(health_pb2.HealthCheckRequest(service="no.Such"), timeout=30)
        watched = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=30)
        before = await watched.read()
        async with asyncio.timeout(30):
            await server.stop(60)
        after, ended = await watched.read(), await watched.read()

    assert known == [_SERVING, _SERVING]
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    assert (before.status, after.status, ended) == (_SERVING, _NOT_SERVING, grpc.aio.EOF)


async def test_contracts_are_told_to_who_asks_for_them(channel: grpc.aio.Channel) -> None:
    async def asked() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        yield reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE)

    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    listed, file = [answer async for answer in stub.ServerReflectionInfo(asked(), timeout=30)]

    names = {service.name for service in listed.list_services_response.service}
    assert names == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    assert file.file_descriptor_response.file_descriptor_proto


async def test_a_socket_is_its_users_alone_and_one_servers_at_a_time(
    generated: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("s") / "of" / "s"
    first, second = (GrpcServer(hosting(Meters("python")), f"unix:{path}") for _ in range(2))
    await first.start()

    mode = path.stat().st_mode & 0o777
    with pytest.raises(OSError, match="served by another process"):
        await second.start()
    await second.stop(0)
    stood = path.exists()
    await first.stop(0)
    gone = not path.exists()
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    third = GrpcServer(hosting(Meters("python")), f"unix:{path}")
    await third.start()
    caller = await _dialled(third.address)
    caller.say(*request(1, f"/{SERVICE}/Read"))

    assert (await caller.answered(1)).status == 0
    assert (mode, stood, gone) == (0o600, True, True)
    caller.writer.close()
    await third.stop(0)


async def test_a_path_that_cannot_be_listened_on_is_said(generated: Path, tmp_path: Path) -> None:
    for address in (f"unix:{tmp_path}/{'x' * 100}", "127.0.0.1:99999", "127.0.0.1:x", "127.0.0.1"):
        server = GrpcServer(hosting(Meters("python")), address)
        with pytest.raises(OSError, match="cannot listen on"):
            await server.start()
        await server.stop(0)


async def test_a_port_is_served_too_and_by_one_server_at_a_time(generated: Path) -> None:
    first = GrpcServer(hosting(Meters("rust")), "127.0.0.1:0")
    await first.start()
    second = GrpcServer(hosting(Meters("python")), first.address)
    with pytest.raises(OSError, match="cannot listen on"):
        await second.start()
    async with grpc.aio.insecure_channel(first.address) as channel, asyncio.timeout(30):
        answers = await asyncio.gather(*(_call(channel, "Read")(_asked("Read")) for _ in range(20)))
        await first.stop(60)  # whoever has nothing to ask any more keeps nobody waiting

    assert not first.address.endswith(":0")
    assert {each.answered_by for each in answers} == {"rust"}
