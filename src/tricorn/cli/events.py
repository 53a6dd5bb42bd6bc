"""`tricorn events`."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from tricorn.cli.application import home_of, manifest
from tricorn.events.cli import Access, make_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def _open(with_handlers: bool) -> AsyncIterator[Access]:
    """The database of what runs in the default home (TRICORN_HOME), or the one that DATABASE_URL names."""
    from tricorn.host import Process, Settings
    from tricorn.supervise.serving import database_factory

    application = manifest()
    application.activate()
    settings, home = Settings(), home_of(None).path
    contexts = [name for name, context in application.contexts.items() if context.database]
    make = database_factory(application, home, settings, contexts)
    async with AsyncExitStack() as opened:
        if with_handlers:
            process = Process(application, "events", list(application.contexts), make, home, settings=settings)
            databases, subscriptions = process.databases, process.subscriptions
        else:
            databases, subscriptions = {name: make(name) for name in contexts}, {}
        for database in databases.values():
            await opened.enter_async_context(database)
        yield Access(databases, subscriptions)


app = make_app(_open)
