"""Starts the engine's binary as a supervisor would, and speaks to it without the wire's own safeguards."""

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2

from tricorn.contract import Refusal, method_policy
from tricorn.wire.errors import DETAILS_KEY, from_status
from tricorn.wire.remote import MAX_MESSAGE_BYTES

SECONDS = 30.0
"""How long anything may take before the test gives up."""

PRICING = "agora.pricing.v1.PricingService"
SIGNING = "agora.payments.v1.SigningService"


@dataclass
class Engine:
    process: asyncio.subprocess.Process
    address: str
    home: Path
    log: Path
    life: int

    def channel(self) -> grpc.aio.Channel:
        # More than the engine takes, so that it is the engine that refuses.
        limit = [("grpc.max_send_message_length", 4 * MAX_MESSAGE_BYTES), ("grpc.enable_retries", 0)]
        limit += [(f"grpc.{which}max_metadata_size", MAX_MESSAGE_BYTES) for which in ("", "absolute_")]
        return grpc.aio.insecure_channel(self.address, options=[("grpc.default_authority", "localhost"), *limit])

    async def call(self, method: str, request: Message, **options: Any) -> Message:
        """The answer, or the refusal raised as it came."""
        policy = method_policy(method)
        raw = await self.raw(method, request.SerializeToString(), **options)
        return policy.output.FromString(raw)

    async def raw(self, method: str, request: bytes, *, seconds: float = SECONDS, **metadata: str) -> bytes:
        async with self.channel() as channel:
            try:
                answer: bytes = await channel.unary_unary(f"/{method}", None, None)(
                    request, timeout=seconds, metadata=list(metadata.items())
                )
            except grpc.aio.AioRpcError as error:
                raise refusal_of(error) or error from None
        return answer

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines()]

    async def logged(self, event: str) -> None:
        """Returns once it has logged the event."""
        async with asyncio.timeout(SECONDS):
            while event not in self.events():  # noqa: ASYNC110 - a file tells nobody that it grew
                await asyncio.sleep(0.01)

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), SECONDS)

    def let_go(self) -> None:
        """Closes the supervisor's end of the pipe."""
        os.close(self.life)
        self.life = -1


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal | None:
    trailing: Any = error.trailing_metadata()
    for key, value in trailing or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            status = status_pb2.Status.FromString(value)
            # The client's own deadline may come between what the server said and what is told here.
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                assert (status.code, status.message) == (error.code().value[0], error.details())
            return from_status(status)
    return None


@asynccontextmanager
async def started(
    binary: Path, home: Path, *, listen: str = "", environment: Mapping[str, str] | None = None
) -> AsyncIterator[Engine]:
    """The engine, serving; ended with the block.

    Args:
        binary: The program.
        home: The application's state.
        listen: Where; by default a socket of its own.
        environment: What the supervisor says along.
    """
    with tempfile.TemporaryDirectory(prefix="te") as folder:
        address = listen or f"unix:{folder}/s"
        log = Path(folder) / "log"
        ready, said = os.pipe()
        heard, life = os.pipe()
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(binary, "--listen", address, "--home", home, "--metrics", "127.0.0.1:0", "--process", "engine"),
                *("--ready-fd", str(said), "--life-fd", str(heard)),
                stdout=output,
                stderr=output,
                pass_fds=(said, heard),
            )
        os.close(said)
        os.close(heard)
        engine = Engine(process, address, home, log, life)
        try:
            os.write(life, json.dumps({"environment": dict(environment or {})}).encode() + b"\n")
            with os.fdopen(ready, "rb") as reader:
                assert await asyncio.to_thread(reader.readline) == b"ready\n", log.read_text()
            if listen.endswith(":0"):
                (serving,) = (line for line in engine.lines() if line["event"] == "serving")
                engine.address = serving["address"]
            yield engine
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            if engine.life >= 0:
                os.close(engine.life)
