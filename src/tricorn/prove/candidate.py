"""The implementation that is judged, reached by gRPC at an address, and the ways to get one."""

import asyncio
import multiprocessing
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, Self

import grpc

from tricorn.conformance.started import StartError, started_native
from tricorn.contract import MethodPolicy, Refusal
from tricorn.host import Manifest
from tricorn.host.cpu import follow_the_parent
from tricorn.host.manifest import Native
from tricorn.host.natives import native_binary
from tricorn.prove.errors import ProveError
from tricorn.prove.outcome import ANSWERED, GONE, Outcome, outcome_of
from tricorn.prove.reference import Request, Site, hosted
from tricorn.telemetry import configure_logging
from tricorn.wire import GrpcServer, Identity, wait_until_serving
from tricorn.wire.remote import MAX_MESSAGE_BYTES

CONNECT_SECONDS = 10.0
_START_SECONDS = 60.0


class CandidateError(ProveError):
    """The candidate cannot be judged."""


@asynccontextmanager
async def started(manifest: Manifest, native: Native, home: Path, state: Path | None = None) -> AsyncIterator[str]:
    """The address of a native part, started alone. It is built already, below ``home``.

    Args:
        manifest: The application.
        native: One of its parts.
        home: The folder below which parts are built.
        state: The folder for its own state; by default one of its own.

    Raises:
        CandidateError: It is not built, or does not start.
    """
    name = next(name for name, part in manifest.natives.items() if part is native)
    if not native_binary(manifest, name, home).is_file():
        raise CandidateError(
            f"{name} is not built: there is no {native_binary(manifest, name, home)}",
            remedy="`tricorn up --shape native` builds it, and so does its `build` of tricorn.toml",
        )
    async with AsyncExitStack() as stack:
        try:
            address = await stack.enter_async_context(started_native(manifest, name, home=home, state=state))
        except StartError as error:
            raise CandidateError(
                str(error), remedy=f"start it by hand: {native_binary(manifest, name, home)}"
            ) from error
        yield address


@asynccontextmanager
async def served_python(site: Site) -> AsyncIterator[str]:
    """The address of the reference itself, in another process behind gRPC: a candidate that must be found the same."""
    with tempfile.TemporaryDirectory(prefix="tc") as folder:
        address = f"unix:{folder}/s"
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(site, address), daemon=True)
        process.start()
        try:
            await wait_until_serving(address, _START_SECONDS)
            yield address
        finally:
            process.terminate()
            await asyncio.to_thread(process.join, CONNECT_SECONDS)


def _serve(site: Site, address: str) -> NoReturn:
    follow_the_parent()
    configure_logging("candidate", level="critical")

    async def serve() -> None:
        server = GrpcServer(hosted(site), address)
        await server.start()
        await asyncio.Event().wait()

    asyncio.run(serve())
    os._exit(0)


class Candidate:
    """Calls methods at an address, bytes to bytes: what is compared is what came over the wire.

    An async context manager.
    """

    def __init__(self, address: str, *, at_once: int = 32, connect_seconds: float = CONNECT_SECONDS) -> None:
        self.address = address
        self._most = at_once
        self._connect_seconds = connect_seconds
        self._at_once = asyncio.Semaphore(at_once)
        self._alone = asyncio.Lock()
        self._channel = grpc.aio.insecure_channel(
            address,
            options=[
                ("grpc.default_authority", "localhost"),
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_metadata_size", MAX_MESSAGE_BYTES),
                ("grpc.absolute_max_metadata_size", MAX_MESSAGE_BYTES),
                ("grpc.enable_retries", 0),
            ],
        )
        self._calls: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        try:
            await wait_until_serving(self.address, self._connect_seconds)
        except Refusal as error:
            await self._channel.close(None)
            raise CandidateError(
                f"nothing answers at {self.address}, or it has no health service",
                remedy="start the implementation, or name another address with --against",
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close(None)

    async def ask(self, policy: MethodPolicy, request: Request) -> Outcome:
        """The outcome of one call, within the time that the contract gives the method."""
        async with self._at_once:
            return await self._ask(policy, request)

    async def ask_alone(self, policy: MethodPolicy, request: Request) -> Outcome:
        """As `ask`, while nothing else is asked: what is late now is so by itself."""
        async with self._alone:
            taken = 0
            try:
                for _ in range(self._most):
                    await self._at_once.acquire()
                    taken += 1
                return await self._ask(policy, request)
            finally:
                for _ in range(taken):
                    self._at_once.release()

    async def _ask(self, policy: MethodPolicy, request: Request) -> Outcome:
        call = self._calls.get(policy.full_name)
        if call is None:
            call = self._calls[policy.full_name] = self._channel.unary_unary(
                f"/{policy.full_name}", _as_it_is, _as_it_is
            )
        try:
            answer: bytes = await call(
                request.payload, timeout=policy.deadline, metadata=_metadata(request.caller), wait_for_ready=False
            )
        except grpc.aio.AioRpcError as error:
            return outcome_of(error)
        return Outcome(ANSWERED, "OK", answer)

    async def lives(self) -> bool:
        """Whether it answers its health check now."""
        try:
            await wait_until_serving(self.address, 2.0)
        except Refusal:
            return False
        return True


def _as_it_is(content: bytes) -> bytes:
    return content


def _metadata(caller: Identity | None) -> tuple[tuple[str, str], ...] | None:
    if caller is None:
        return None
    return (
        ("tricorn-user-id", caller.user_id),
        ("tricorn-session-id", caller.session_id),
        ("tricorn-roles", ",".join(sorted(caller.roles))),
    )


__all__ = ["GONE", "Candidate", "CandidateError", "served_python", "started"]
