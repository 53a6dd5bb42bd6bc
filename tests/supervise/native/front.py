"""A gateway for the tests, in place of a native one: the same command line, the same drain, and one answer to every request.

It says which process and which build of it answered. `--home`/edge.fail keeps it from starting, `edge.slow` makes it wait before it is ready.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

sys.path[:0] = ["@PLATFORM@"]

from tricorn.supervise.life import Life, say_ready  # noqa: E402

BUILD = "@BUILD@"
IDLE_SECONDS = 10.0
REQUEST_SECONDS = 20.0


class Gateway:
    """Answers on connections until it is told to leave; then each answer is the last one on its connection."""

    def __init__(self) -> None:
        self.leaving = asyncio.Event()
        self.hurried = asyncio.Event()
        self._open: dict[asyncio.StreamWriter, bool] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = False
        try:
            while head := await self._head(reader):
                self._open[writer] = True
                length = next((int(line[15:]) for line in head if line.lower().startswith(b"content-length:")), 0)
                await reader.readexactly(length)
                body = json.dumps({"notes": "4242", "build": BUILD, "pid": os.getpid()}).encode()
                told = next((line for line in head if line.lower().startswith(b"x-request-id:")), b"x-request-id: none")
                # Taken as late as can be: whoever leaves while this is answered says so.
                await asyncio.sleep(0)
                last = self.leaving.is_set() or b"connection: close" in [line.lower() for line in head]
                close = b"connection: close\r\n" if last else b""
                writer.write(
                    b"HTTP/1.1 200 OK\r\n%s\r\n%scontent-length: %d\r\n\r\n%s" % (told, close, len(body), body)
                )
                await writer.drain()
                self._open[writer] = False
                if last:
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            del self._open[writer]
            writer.close()

    async def _head(self, reader: asyncio.StreamReader) -> list[bytes]:
        try:
            return (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        except asyncio.IncompleteReadError:
            return []

    async def drain(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._open and loop.time() - began < REQUEST_SECONDS:
            if self.hurried.is_set() or loop.time() - began > IDLE_SECONDS:
                for writer in [each for each, busy in self._open.items() if not busy]:
                    writer.close()
            await asyncio.sleep(0.02)


async def run(listener: socket.socket, address: str, ready: int, home: Path) -> None:
    health_server = await answer_health(address)
    gateway, loop = Gateway(), asyncio.get_running_loop()

    def leave() -> None:
        (gateway.hurried if gateway.leaving.is_set() else gateway.leaving).set()

    loop.add_signal_handler(signal.SIGTERM, leave)
    if (home / "edge.slow").exists():
        await asyncio.sleep(0.5)
    server = await asyncio.start_server(gateway.serve, sock=listener.dup())
    say_ready(ready)
    await gateway.leaving.wait()
    for sock in server.sockets:
        loop.remove_reader(sock.fileno())
    await asyncio.sleep(0.05)  # what was accepted in this turn of the loop begins
    server.close()
    await gateway.drain()
    await health_server.stop(1)


async def answer_health(address: str) -> grpc.aio.Server:
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    await server.start()
    return server


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("--listen", "--metrics", "--process"):
        parser.add_argument(name, required=True)
    for name in ("--home", "--manifest"):
        parser.add_argument(name, required=True, type=Path)
    for name in ("--public-fd", "--ready-fd", "--life-fd"):
        parser.add_argument(name, required=True, type=int)
    said = parser.parse_args()
    life = Life(said.life_fd)
    word = life.begin()
    (said.home / "edge.word").write_text(json.dumps(word))
    assert threading.active_count() > 1, "the end of the supervisor is watched for"
    if (said.home / "edge.fail").exists():
        sys.stderr.write("the gateway cannot find its key\n")
        return 4
    asyncio.run(run(socket.socket(fileno=said.public_fd), said.listen, said.ready_fd, said.home))
    return 0


if __name__ == "__main__":
    sys.exit(main())
