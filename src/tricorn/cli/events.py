"""`tricorn events`: the commands of the events room, on the databases of the application that is here."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from tricorn.cli.application import database, home_of, manifest, split_home
from tricorn.events.cli import Access, make_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def _open(wired: bool) -> AsyncIterator[Access]:
    """The databases of all contexts with their runtime roles; `wired`: with what the contexts subscribe to, too."""
    from tricorn.host.process import Process
    from tricorn.host.settings import Settings
    from tricorn.supervise.serving import database_factory

    application = manifest()
    home = home_of(split_home([])[1])
    application.activate()
    with database(home, application):
        settings = Settings()
        contexts = [name for name, context in application.contexts.items() if context.database]
        make = database_factory(application, home.path, settings, contexts)
        if wired:
            process = Process(application, "events", list(application.contexts), make, home.path, settings=settings)
            databases, subscriptions = process.databases, process.subscriptions
        else:
            databases, subscriptions = {name: make(name) for name in contexts}, {}
        async with AsyncExitStack() as stack:
            for opened in databases.values():
                await opened.open()
                stack.push_async_callback(opened.close)
            yield Access(databases, subscriptions)


def app(words: list[str]) -> int:
    """Run `tricorn events ...`; --home may stand anywhere."""
    from tricorn.cli.main import door, invoke

    rest, home = split_home(words)
    if home is not None:
        os.environ["TRICORN_HOME"] = str(home)
    return invoke(make_app(_open), f"{door()} events", rest)
