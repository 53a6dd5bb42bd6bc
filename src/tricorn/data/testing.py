"""pytest fixtures on top of `clones`: one server for the whole run, one migrated template, a copy for each test.

Load them with `pytest_plugins = ["tricorn.data.testing"]`.
"""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tricorn.data.clones import Clones, Fill
from tricorn.data.database import Database
from tricorn.data.postgres import EmbeddedPostgres
from tricorn.data.revisions import ContextMigrations

_clones: dict[tuple[object, ...], Clones] = {}


class ClonedDatabase:
    """A test's own database."""

    def __init__(self, clones: Clones, name: str) -> None:
        self.clones = clones
        self.name = name

    def url(self, context: str) -> str:
        """For the context's runtime role."""
        return self.clones.url(self.name, context)

    def viewer_url(self, name: str) -> str:
        """For a role that reads published views alone."""
        return self.clones.server.url(self.name, self.clones.names.viewer(name))

    def admin_url(self) -> str:
        return self.clones.server.admin_url(self.name)

    @asynccontextmanager
    async def connect(self, context: str | None = None, *, size: int = 5) -> AsyncIterator[Database]:
        """As the context's runtime role, or as the administrator."""
        async with Database(self.url(context) if context else self.admin_url(), size=size) as database:
            yield database


DatabaseFactory = Callable[..., AbstractAsyncContextManager[ClonedDatabase]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """An embedded server in a folder that goes when the run ends; it does not flush what it writes."""
    folder = Path(tempfile.mkdtemp(prefix="tricorn-tests-"))
    server = EmbeddedPostgres(folder / "postgres", durable=False)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        _clones.clear()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def database_factory(postgres: EmbeddedPostgres) -> DatabaseFactory:
    """A migrated database of the test's own, for `async with`; the arguments are those of `Clones`."""

    @asynccontextmanager
    async def make(
        contexts: Sequence[ContextMigrations], *, prefix: str = "test", fill: Fill | None = None, fill_key: str = ""
    ) -> AsyncIterator[ClonedDatabase]:
        key = (postgres.data_dir, prefix, fill_key, *(context.name for context in contexts), *map(str, contexts))
        clones = _clones.get(key)
        if clones is None:
            clones = _clones[key] = Clones(postgres, contexts, prefix=prefix, fill=fill, fill_key=fill_key)
        async with clones.clone() as name:
            yield ClonedDatabase(clones, name)

    return make
