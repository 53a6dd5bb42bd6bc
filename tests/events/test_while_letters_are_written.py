"""Dead letters when something else happens between two steps of the relay."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.events import ledger

from tricorn.data import Database
from tricorn.events.dead_letters import drop, list_dead_letters, redrive
from tricorn.events.poke import REDRIVE
from tricorn.events.relay import Relay

_LOOKS_FOR_REDRIVEN = "SELECT DISTINCT"
_READS_LETTERS = "WITH ORDINALITY"
_ADRIFT = """
SELECT count(*) FROM outbox o WHERE NOT EXISTS (SELECT FROM outbox_pending p WHERE p.position = o.position)
AND NOT EXISTS (SELECT FROM dead_letter d WHERE d.position = o.position)
"""

Hook = Callable[[str], Awaitable[None]]


async def _nothing(sql: str) -> None:
    del sql


class Watched(Database):
    """Says what a relay asks, before and after."""

    def __init__(self, url: str) -> None:
        super().__init__(url, size=4)
        self.before: Hook = _nothing
        self.after: Hook = _nothing

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        await self.before(sql)
        rows = await super().fetch(sql, *args)
        await self.after(sql)
        return rows


class Falling(Relay):
    """Says when an event has become a dead letter, which is not written yet."""

    fallen: asyncio.Event

    def parked(self, *args: Any) -> None:
        super().parked(*args)
        self.fallen.set()


def _falling(shop: Database, *groups: Any) -> Falling:
    relay = ledger.relay_for(shop, *groups, kind=Falling)
    assert isinstance(relay, Falling)
    relay.fallen = asyncio.Event()
    return relay


async def test_an_event_is_pending_until_its_letter_is_written(db: Any) -> None:
    """Else a relay that is killed in between leaves an event that nobody looks for any more."""
    adrift: list[int] = []
    looks = asyncio.Event()
    tries = 0

    async def fail_while_the_relay_looks(value: str, meta: Any) -> None:
        nonlocal tries
        del meta
        tries += 1
        if tries == ledger.FAST.attempts:
            shop.before = fall_first
            relay.poke(REDRIVE)
            await looks.wait()
        raise ledger.PoisonError(value)

    async def fall_first(sql: str) -> None:
        if _LOOKS_FOR_REDRIVEN in sql:
            looks.set()
            await relay.fallen.wait()

    async def count(sql: str) -> None:
        del sql
        adrift.append(await db.shop.fetchval(_ADRIFT))

    async with asyncio.timeout(20), Watched(db.shop.url) as shop:
        relay = _falling(shop, ledger.bookkeeper(db.books, before=fail_while_the_relay_looks))
        shop.after = count
        await ledger.publish(db.shop, "order-1", "bad")
        async with ledger.running(relay):
            await relay.drained()

    assert looks.is_set()
    assert max(adrift) == 0
    assert [letter.state for letter in await list_dead_letters(db.shop)] == ["parked"]


async def test_what_falls_back_while_the_relay_looks_for_letters_is_not_overtaken(db: Any) -> None:
    fetched, looks = asyncio.Event(), asyncio.Event()
    tries = 0

    async def fail_again(value: str, meta: Any) -> None:
        nonlocal tries
        del meta
        tries += value == "bad"
        if value == "bad" and tries == ledger.FAST.attempts + 1:
            fetched.clear()
            await ledger.publish(db.shop, "order-1", "behind it")
            relay.poke()
            await fetched.wait()
        if value == "bad" and tries == 2 * ledger.FAST.attempts:
            relay.fallen.clear()
            shop.before = fall_first
            relay.poke(REDRIVE)
            await looks.wait()
        if value == "bad" and tries <= 2 * ledger.FAST.attempts:
            raise ledger.PoisonError(value)

    async def fall_first(sql: str) -> None:
        if _LOOKS_FOR_REDRIVEN in sql:
            looks.set()
            await relay.fallen.wait()

    async def see(sql: str) -> None:
        if "outbox_pending" in sql:
            fetched.set()

    async with asyncio.timeout(20), Watched(db.shop.url) as shop:
        relay = _falling(shop, ledger.bookkeeper(db.books, before=fail_again))
        shop.after = see
        await ledger.publish(db.shop, "order-1", "bad")
        async with ledger.running(relay):
            await relay.drained()
            await redrive(db.shop, "shop")
            await relay.drained()
            await ledger.publish(db.shop, "order-1", "last")
            await relay.drained()
            overtaken = await ledger.effects(db.books)
            await redrive(db.shop, "shop")
            await relay.drained()

    assert looks.is_set()
    assert overtaken == {}
    assert await ledger.effects(db.books) == {"order-1": [1, 2, 3]}


async def test_an_event_that_is_dropped_while_another_is_seen_to_makes_way(db: Any) -> None:
    async def drop_the_other(sql: str) -> None:
        if _READS_LETTERS in sql and await _dropped(db) == 1:
            await _drop(db, "order-2")

    async with asyncio.timeout(20), Watched(db.shop.url) as shop:
        shop.after = drop_the_other
        await db.books.execute("INSERT INTO poison VALUES ('bad')")
        for subject in ("order-1", "order-2"):
            await ledger.publish(db.shop, subject, "bad")
        async with ledger.running(ledger.relay_for(shop, ledger.bookkeeper(db.books))) as relay:
            await relay.drained()
            await _drop(db, "order-1")
            await relay.drained()
            await relay.drained()
            await ledger.publish(db.shop, "order-2", "good")
            await relay.drained()

    assert await ledger.effects(db.books) == {"order-2": [2]}


async def test_an_event_that_is_dropped_while_it_is_delivered_again_makes_way(db: Any) -> None:
    async def drop_then_fail(value: str, meta: Any) -> None:
        if value == "bad":
            if await list_dead_letters(db.shop):
                await _drop(db, meta.subject)
            raise ledger.PoisonError(value)

    await ledger.publish(db.shop, "order-1", "bad", "good")
    async with asyncio.timeout(20):
        async with ledger.running(
            ledger.relay_for(db.shop, ledger.bookkeeper(db.books, before=drop_then_fail))
        ) as relay:
            await relay.drained()
            await redrive(db.shop, "shop")
            await relay.drained()
            await relay.drained()

    assert await ledger.effects(db.books) == {"order-1": [2]}


async def test_dead_letters_of_no_more_aggregates_than_allowed_are_in_memory_at_once(db: Any) -> None:
    read: list[Sequence[str]] = []

    class Counted(Database):
        async def fetch(self, sql: str, *args: Any) -> list[Any]:
            if _READS_LETTERS in sql:
                read.append(args[1])
            return await super().fetch(sql, *args)

    await db.books.execute("INSERT INTO poison VALUES ('bad')")
    for number in range(30):
        await ledger.publish(db.shop, f"order-{number}", "bad")
    async with asyncio.timeout(20), Counted(db.shop.url, size=4) as shop:
        relay = ledger.relay_for(shop, ledger.bookkeeper(db.books), in_the_works=10)
        async with ledger.running(relay):
            await relay.drained()
            await db.books.execute("DELETE FROM poison")
            await redrive(db.shop, "shop")
            await relay.drained()

    assert max(map(len, read)) == 10
    assert len(await ledger.effects(db.books)) == 30
    assert await list_dead_letters(db.shop) == []


async def test_no_more_dead_letters_of_an_aggregate_than_allowed_are_in_memory_at_once_and_nothing_overtakes_them(
    db: Any,
) -> None:
    read: list[int] = []

    class Counted(Database):
        async def fetch(self, sql: str, *args: Any) -> list[Any]:
            rows = await super().fetch(sql, *args)
            if _READS_LETTERS in sql:
                read.append(len(rows))
            return rows

    async def publish_more(value: str, meta: Any) -> None:
        if value == "old" and meta.sequence % 3 == 0:
            await ledger.publish(db.shop, meta.subject, "new")
            relay.poke()

    await db.books.execute("INSERT INTO poison VALUES ('bad')")
    for subject in ("order-1", "order-2"):
        await ledger.publish(db.shop, subject, "bad", *(["old"] * 12))
    async with asyncio.timeout(30), Counted(db.shop.url, size=4) as shop:
        relay = ledger.relay_for(shop, ledger.bookkeeper(db.books, before=publish_more), in_the_works=5)
        async with ledger.running(relay):
            await relay.drained()
            await db.books.execute("DELETE FROM poison")
            await redrive(db.shop, "shop")
            await relay.drained()

    assert max(read) == 6  # one more than there is room for tells that there is more
    assert await ledger.effects(db.books) == {subject: list(range(1, 18)) for subject in ("order-1", "order-2")}
    assert await list_dead_letters(db.shop) == []


async def test_what_fails_again_is_not_delivered_once_more_though_there_was_no_room_for_the_rest(db: Any) -> None:
    await db.books.execute("INSERT INTO poison VALUES ('bad')")
    await ledger.publish(db.shop, "order-1", "bad", *(["old"] * 12))
    relay = ledger.relay_for(db.shop, ledger.bookkeeper(db.books), in_the_works=5)
    async with asyncio.timeout(30), ledger.running(relay):
        await relay.drained()
        await redrive(db.shop, "shop")
        await relay.drained()
        await ledger.publish(db.shop, "order-1", "new")
        await relay.drained()

    letters = await list_dead_letters(db.shop)
    assert [letter.attempts for letter in letters] == [2 * ledger.FAST.attempts, *([0] * 13)]
    assert not any(letter.redrive for letter in letters)
    assert await ledger.effects(db.books) == {}


async def test_an_error_that_no_table_takes_holds_nothing_up(db: Any) -> None:
    async def fail(value: str, meta: Any) -> None:
        if meta.subject == "order-1":
            raise ValueError(value + "\0\udcff")

    await ledger.publish(db.shop, "order-1", "bad")
    async with (
        asyncio.timeout(20),
        ledger.running(ledger.relay_for(db.shop, ledger.bookkeeper(db.books, before=fail))) as relay,
    ):
        await relay.drained()
        await ledger.publish(db.shop, "order-2", "good")
        await relay.drained()

    assert await ledger.effects(db.books) == {"order-2": [1]}
    assert [letter.error for letter in await list_dead_letters(db.shop)] == [
        "ValueError: bad\N{REPLACEMENT CHARACTER}?"
    ]


async def _drop(db: Any, subject: str) -> None:
    for letter in await list_dead_letters(db.shop):
        if (letter.subject, letter.sequence) == (subject, 1):
            await drop(db.shop, "shop", group="books.all", event_id=letter.event_id, reason="never meant")


async def _dropped(db: Any) -> int:
    return int(await db.shop.fetchval("SELECT count(*) FROM dead_letter WHERE state = 'dropped'"))
