import asyncio
from typing import Any

import pytest
from tests.events import ledger

from tricorn.events.dead_letters import drop, list_dead_letters, redrive
from tricorn.events.log import prune_log, read_latest
from tricorn.events.rebuild import RebuildError, rebuild


async def test_a_rebuilt_read_model_is_what_the_log_says_in_order(db: Any) -> None:
    books = ledger.bookkeeper(db.books)
    relay = ledger.relay_for(db.shop, books, ledger.bookkeeper(db.books, "books.other"))
    async with ledger.running(relay):
        for number in range(250):
            await ledger.publish(db.shop, f"order-{number % 7}", "v")
        await relay.drained()
        before = await ledger.effects(db.books)
        await db.books.execute("UPDATE effect SET value = 'spoilt'")

        handled = await rebuild(books, {"shop": db.shop})
        await ledger.publish(db.shop, "order-0", "v")
        await relay.drained()

    before["order-0"].append(len(before["order-0"]) + 1)
    assert handled == 250
    assert await ledger.effects(db.books) == before == await ledger.effects(db.books, "books.other")
    spoilt = await db.books.fetchval("SELECT count(*) FROM effect WHERE value = 'spoilt' AND \"group\" = 'books.all'")
    assert spoilt == 0


async def test_live_deliveries_wait_for_a_rebuild_and_for_one_that_was_interrupted(db: Any) -> None:
    books = ledger.bookkeeper(db.books)
    await ledger.publish(db.shop, "order-1", "good", "bad", "good")
    relay = ledger.relay_for(db.shop, books)
    async with ledger.running(relay):
        await relay.drained()
        await db.books.execute("INSERT INTO poison VALUES ('bad')")
        with pytest.raises(RebuildError, match="PoisonError: bad"):
            await rebuild(books, {"shop": db.shop})
        await ledger.publish(db.shop, "order-1", "good")
        async with asyncio.timeout(20):
            while not relay._lines["books.all"]._misses:  # noqa: ASYNC110 - the relay has tried
                await asyncio.sleep(0.01)
        assert (await ledger.effects(db.books))["order-1"] == [1]

        (letter,) = await list_dead_letters(db.shop)
        await drop(db.shop, "shop", group="books.all", event_id=letter.event_id, reason="never meant")
        assert await rebuild(books, {"shop": db.shop}) == 3
        await relay.drained()

    assert await ledger.effects(db.books) == {"order-1": [1, 3, 4]}


async def test_a_rebuild_clears_the_dead_letters_it_has_replayed(db: Any) -> None:
    await db.books.execute("INSERT INTO poison VALUES ('bad')")
    await ledger.publish(db.shop, "order-1", "bad", "good")
    books = ledger.bookkeeper(db.books)
    relay = ledger.relay_for(db.shop, books)
    async with ledger.running(relay):
        await relay.drained()
        await db.books.execute("DELETE FROM poison")
        await rebuild(books, {"shop": db.shop})
        await relay.drained()
        await ledger.publish(db.shop, "order-1", "good")
        await relay.drained()

    assert await ledger.effects(db.books) == {"order-1": [1, 2, 3]}
    assert await list_dead_letters(db.shop) == []


async def test_pruning_keeps_what_is_pending_or_a_dead_letter_and_the_sequence(db: Any) -> None:
    await db.books.execute("INSERT INTO poison VALUES ('bad')")
    await ledger.publish(db.shop, "order-1", "good", "good")
    await ledger.publish(db.shop, "order-2", "bad")
    async with ledger.running(ledger.relay_for(db.shop, ledger.bookkeeper(db.books))) as relay:
        await relay.drained()
    await ledger.publish(db.shop, "order-1", "pending")

    pruned = await prune_log(db.shop, older_than_seconds=0)

    assert pruned == 2
    left = [(event.meta.subject, event.meta.sequence) for event in await read_latest(db.shop, "shop")]
    assert left == [("order-2", 1), ("order-1", 3)]


async def test_inboxes_forget_what_is_pruned_and_keep_what_may_be_delivered_again(db: Any) -> None:
    await db.books.execute("INSERT INTO poison VALUES ('bad')")
    await ledger.publish(db.shop, "order-1", "good", "good")
    await ledger.publish(db.shop, "order-2", "good", "bad", "good")
    groups = [ledger.bookkeeper(db.books, name) for name in ("books.a", "books.b")]
    async with ledger.running(ledger.relay_for(db.shop, *groups)) as relay:
        await relay.drained()
        await db.shop.execute("UPDATE outbox SET time = time - interval '2 days'")
        await ledger.publish(db.shop, "order-1", "young")
        await relay.drained()

        pruned = await prune_log(db.shop, older_than_seconds=86_400, inboxes=[db.shop, db.books])

        left = [(event.meta.subject, event.meta.sequence) for event in await read_latest(db.shop, "shop")]
        assert (pruned, left) == (3, [("order-2", 2), ("order-2", 3), ("order-1", 3)])
        young = await db.shop.fetchval("SELECT id FROM outbox WHERE subject = 'order-1'")
        taken = await db.books.fetch('SELECT "group", event_id FROM inbox ORDER BY "group"')
        assert [tuple(row) for row in taken] == [("books.a", young), ("books.b", young)]
        await db.books.execute("DELETE FROM poison")
        await redrive(db.shop, "shop")
        await relay.drained()

    assert await ledger.effects(db.books, "books.a") == {"order-1": [1, 2, 3], "order-2": [1, 2, 3]}
    assert await prune_log(db.shop, older_than_seconds=86_400, inboxes=[db.books]) == 2
    assert await db.books.fetchval("SELECT count(*) FROM inbox") == 2


async def test_an_event_that_is_pruned_at_once_stays_in_the_inbox_since_it_may_be_under_way(db: Any) -> None:
    await ledger.publish(db.shop, "order-1", "good")
    async with ledger.running(ledger.relay_for(db.shop, ledger.bookkeeper(db.books))) as relay:
        await relay.drained()

    assert await prune_log(db.shop, older_than_seconds=0, inboxes=[db.books]) == 1
    assert await db.books.fetchval("SELECT count(*) FROM inbox") == 1
