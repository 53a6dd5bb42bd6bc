"""Where contracts with effects are judged: a database server of the judge's own, a cloned database for each implementation, and both started on
them.
"""

import asyncio
import multiprocessing
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Self

from tricorn.conformance.started import StartError, started_native
from tricorn.data import Clones, Database, EmbeddedPostgres
from tricorn.host import Manifest, Process, Settings, load_manifest
from tricorn.host.cpu import follow_the_parent
from tricorn.host.schema import migrations
from tricorn.prove.candidate import Candidate, CandidateError
from tricorn.prove.errors import ProveError
from tricorn.prove.plan import Plan
from tricorn.prove.reference import Site
from tricorn.prove.sources import owner_of
from tricorn.telemetry import configure_logging
from tricorn.wire import wait_until_serving

PYTHON = "python"
CONNECTIONS = 8
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Data:
    """A context's rows: a database, reached as its runtime role and as the administrator."""

    context: str
    url: str
    admin_url: str


class Grounds:
    """A server with one migrated database, and copies of it. An async context manager.

    What is written is not flushed: nothing here outlives the judge.
    """

    def __init__(self, manifest: Manifest, contract: str) -> None:
        self._manifest = manifest
        self._context = owner_of(manifest, contract)
        self._stack = AsyncExitStack()
        self._clones: Clones | None = None

    async def __aenter__(self) -> Self:
        if not self._manifest.contexts[self._context].database:
            raise ProveError(
                f"the context {self._context} has effects and no database, so its state cannot be compared",
                remedy="`tricorn conformance` plays its cases",
            )
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="tricorn-grounds-")))
        server = EmbeddedPostgres(folder / "postgres", durable=False)
        await asyncio.to_thread(server.start)
        self._stack.push_async_callback(asyncio.to_thread, server.stop)
        self._clones = Clones(
            server, migrations(self._manifest, [self._context]), prefix=f"{self._manifest.name}_verify"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def clone(self) -> Data:
        """A copy; it goes with the server."""
        if self._clones is None:
            raise ProveError("there is no server yet", remedy="enter its context first")
        name = await self._clones.create()
        return Data(self._context, self._clones.url(name, self._context), self._clones.server.admin_url(name))


@asynccontextmanager
async def reference_on(site: Site, data: Data, environment: Mapping[str, str]) -> AsyncIterator[Candidate]:
    """The Python reference on a database, in a process of its own, behind gRPC as in production."""
    with tempfile.TemporaryDirectory(prefix="tc") as folder:
        address = f"unix:{folder}/s"
        process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(site, data, dict(environment), address), daemon=True
        )
        process.start()
        try:
            await wait_until_serving(address, _START_SECONDS)
            async with Candidate(address) as reference:
                yield reference
        finally:
            process.terminate()
            await asyncio.to_thread(process.join, _STOP_SECONDS)


@asynccontextmanager
async def candidate_on(plan: Plan, state: Path, data: Data, environment: Mapping[str, str]) -> AsyncIterator[Candidate]:
    """What is judged, on a database.

    Raises:
        CandidateError: It does not start.
        ProveError: It cannot be given a database of ours.
    """
    native = plan.manifest.native_of(plan.target.contract)
    if plan.against == PYTHON:
        async with reference_on(plan.site(state), data, environment) as candidate:
            yield candidate
        return
    if native is None or native.language != plan.against:
        raise ProveError(
            f"{plan.target.short} has effects, so what is judged is started here, on a database of its own; "
            f"{plan.against!r} is no implementation that `tricorn.toml` knows",
            remedy="--against takes python, or the language of the contract's native part",
        )
    name = next(name for name, part in plan.manifest.natives.items() if part is native)
    given = {f"TRICORN_DATABASE_{data.context.upper()}": data.url, **environment}
    async with AsyncExitStack() as stack:
        try:
            address = await stack.enter_async_context(
                started_native(plan.manifest, name, home=plan.home, environment=given)
            )
        except StartError as error:
            raise CandidateError(str(error), remedy=f"`tricorn up --shape native` shows whether {name} runs") from error
        yield await stack.enter_async_context(Candidate(address))


@asynccontextmanager
async def hosted_on(manifest: Manifest, site: Site, data: Data, listen: str | None = None) -> AsyncIterator[Process]:
    """The context in this process, with its background work. ``manifest`` is active."""
    process = Process(
        manifest,
        "verify",
        [data.context],
        lambda context: Database(data.url, size=CONNECTIONS, name=f"verify-{context}"),
        site.home,
        settings=Settings(cpu_workers=0),
        listen=listen,
    )
    await process.start()
    try:
        yield process
    finally:
        await process.stop()


def _serve(site: Site, data: Data, environment: Mapping[str, str], address: str) -> NoReturn:
    follow_the_parent()
    os.environ.update(environment)
    configure_logging("verify", level="critical")

    async def serve() -> None:
        manifest = load_manifest(site.root)
        manifest.activate()
        async with hosted_on(manifest, site, data, address):
            await asyncio.Event().wait()

    asyncio.run(serve())
    os._exit(0)
