import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import typer
from tests.events import ledger
from typer.testing import CliRunner

from tricorn.contract import Refusal
from tricorn.data import Database
from tricorn.events.cli import Access, make_app


@pytest.fixture
def app(db: Any) -> typer.Typer:
    @asynccontextmanager
    async def open_access(with_handlers: bool) -> AsyncIterator[Access]:
        async with Database(db.shop.url, size=2) as shop, Database(db.books.url, size=2) as books:
            subscriptions = {"books.all": ledger.bookkeeper(books)} if with_handlers else {}
            yield Access({"shop": shop, "books": books}, subscriptions)

    return make_app(open_access)


async def run(app: typer.Typer, *words: str) -> str:
    """What the command prints; raises what it raises."""
    result = await asyncio.to_thread(CliRunner().invoke, app, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


async def park_one(db: Any) -> str:
    """A parked event, one behind it, and a healthy aggregate; the parked event's id."""
    await db.books.execute("INSERT INTO poison VALUES ('bad')")
    await ledger.publish(db.shop, "order-1", "bad", "good")
    await ledger.publish(db.shop, "order-2", "good")
    async with ledger.running(ledger.relay_for(db.shop, ledger.bookkeeper(db.books))) as relay:
        await relay.drained()
    return str(await db.shop.fetchval("SELECT event_id FROM dead_letter WHERE state = 'parked'"))


async def test_the_status_and_the_dead_letters_are_shown_to_people_and_to_programs(db: Any, app: typer.Typer) -> None:
    event = await park_one(db)
    await ledger.publish(db.shop, "order-3", "pending")

    assert "shop                      1" in await run(app, "status")
    status = json.loads(await run(app, "status", "--json"))
    letters = json.loads(await run(app, "dead-letters", "--json"))
    listing = await run(app, "dead-letters", "--group", "books.all")

    assert (status["shop"]["pending"], status["shop"]["parked"], status["shop"]["waiting"]) == (1, 1, 1)
    assert [(letter["event_id"] == event, letter["state"]) for letter in letters] == [
        (True, "parked"),
        (False, "waiting"),
    ]
    assert "PoisonError: bad" in listing
    assert await run(app, "dead-letters", "--source", "books") == "no dead letters\n"


async def test_a_redrive_says_how_much_it_sets_off_and_asks_for_a_choice(db: Any, app: typer.Typer) -> None:
    event = await park_one(db)

    assert "name an event" in await run(app, "redrive")
    assert await run(app, "redrive", event) == "2 dead letters will be delivered again\n"
    assert await run(app, "redrive", "--group", "books.none") == "no dead letters match\n"


async def test_a_drop_needs_a_letter_that_exists(db: Any, app: typer.Typer) -> None:
    event = await park_one(db)

    said = await run(app, "drop", event, "--group", "books.all", "--reason", "sent by mistake")
    with pytest.raises(Refusal, match="no dead letter"):
        await run(app, "drop", event, "--group", "books.all", "--reason", "again")

    assert said == f"event {event} of shop was given up for books.all\n"


async def test_a_group_is_rebuilt_by_name(db: Any, app: typer.Typer) -> None:
    await ledger.publish(db.shop, "order-1", "a", "b")

    assert "group books.all was rebuilt from 2 events" in await run(app, "rebuild", "books.all")
    with pytest.raises(Refusal, match=r"there is no group 'x'; there are: books\.all"):
        await run(app, "rebuild", "x")

    assert await ledger.effects(db.books) == {"order-1": [1, 2]}


async def test_the_log_shows_messages_and_can_be_pruned(db: Any, app: typer.Typer) -> None:
    await park_one(db)

    shown = json.loads(await run(app, "log", "--json", "--subject", "order-2"))
    pruned = await run(app, "log", "--prune", "0", "--source", "shop")

    assert [(event["subject"], event["sequence"], event["data"]) for event in shown] == [("order-2", 1, "good")]
    assert pruned == "shop: 1 events deleted\n"
    assert '"bad"' in await run(app, "log", "--type", ledger.STRING)
