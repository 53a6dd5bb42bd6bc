from typing import Any

import pytest
from tests.events import ledger

from tricorn.events.dead_letters import drop, list_dead_letters, redrive


async def _poison(db: Any, value: str) -> None:
    await db.books.execute("INSERT INTO poison VALUES ($1)", value)


async def test_a_poisoned_event_parks_its_aggregate_for_its_group_and_nothing_else(db: Any) -> None:
    await _poison(db, "bad")
    await ledger.publish(db.shop, "order-1", "good", "bad", "good", "good")
    await ledger.publish(db.shop, "order-2", "good", "good")
    relay = ledger.relay_for(db.shop, ledger.bookkeeper(db.books))

    async with ledger.running(relay):
        await relay.drained()
        await ledger.publish(db.shop, "order-1", "good")
        await relay.drained()

    assert await ledger.effects(db.books) == {"order-1": [1], "order-2": [1, 2]}
    letters = await list_dead_letters(db.shop)
    assert [(letter.sequence, letter.state, letter.attempts) for letter in letters] == [
        (2, "parked", 3),
        (3, "waiting", 0),
        (4, "waiting", 0),
        (5, "waiting", 0),
    ]
    assert letters[0].error == "PoisonError: bad"
    assert await db.shop.fetchval("SELECT count(*) FROM outbox_pending") == 0


@pytest.mark.parametrize("which", ["group", "event", "all"])
@pytest.mark.parametrize("relays", [1, 2])
async def test_a_redrive_delivers_the_parked_event_first_and_then_what_waited(db: Any, which: str, relays: int) -> None:
    await _poison(db, "bad")
    await ledger.publish(db.shop, "order-1", "good", "bad", "good")
    first = ledger.relay_for(db.shop, ledger.bookkeeper(db.books))
    async with ledger.running(first):
        await first.drained()
        if relays == 1:
            await _redrive_all(db, which)
            await ledger.publish(db.shop, "order-1", "good")
            await first.drained()
    if relays > 1:
        second = ledger.relay_for(db.shop, ledger.bookkeeper(db.books))
        async with ledger.running(second):
            await ledger.publish(db.shop, "order-1", "good")
            await second.drained()
            await _redrive_all(db, which)
            await second.drained()

    assert await ledger.effects(db.books) == {"order-1": [1, 2, 3, 4]}
    assert await list_dead_letters(db.shop) == []


async def _redrive_all(db: Any, which: str) -> None:
    await db.books.execute("DELETE FROM poison")
    letters = await list_dead_letters(db.shop)
    choice: dict[str, Any] = {"group": {"group": "books.all"}, "event": {"event_id": letters[-1].event_id}, "all": {}}
    assert await redrive(db.shop, "shop", **choice[which]) == len(letters)


async def test_a_redriven_event_that_fails_again_is_parked_again(db: Any) -> None:
    await _poison(db, "bad")
    await ledger.publish(db.shop, "order-1", "bad", "good")

    async with ledger.running(ledger.relay_for(db.shop, ledger.bookkeeper(db.books))) as relay:
        await relay.drained()
        await redrive(db.shop, "shop")
        await relay.drained()

    letters = await list_dead_letters(db.shop)
    assert [(letter.state, letter.attempts, letter.redrive) for letter in letters] == [
        ("parked", 6, False),
        ("waiting", 0, False),
    ]
    assert await ledger.effects(db.books) == {}


async def test_a_dropped_event_makes_way_for_what_waited_and_keeps_the_reason(db: Any) -> None:
    await _poison(db, "bad")
    await ledger.publish(db.shop, "order-1", "bad", "good")

    async with ledger.running(ledger.relay_for(db.shop, ledger.bookkeeper(db.books))) as relay:
        await relay.drained()
        (parked, _) = await list_dead_letters(db.shop)
        dropped = await drop(db.shop, "shop", group="books.all", event_id=parked.event_id, reason="sent by mistake")
        await relay.drained()
        await ledger.publish(db.shop, "order-1", "good")
        await relay.drained()

    assert dropped
    assert await ledger.effects(db.books) == {"order-1": [2, 3]}
    (letter,) = await list_dead_letters(db.shop, dropped=True)
    assert (letter.sequence, letter.state, letter.error) == (1, "dropped", "dropped: sent by mistake")


async def test_a_group_that_is_fine_gets_what_another_one_cannot_handle(db: Any) -> None:
    async def refuse(value: str, meta: Any) -> None:
        raise ledger.PoisonError(value, meta)

    await ledger.publish(db.shop, "order-1", "a", "b")
    sick, sound = ledger.bookkeeper(db.books, "books.sick", refuse), ledger.bookkeeper(db.books, "books.sound")

    async with ledger.running(ledger.relay_for(db.shop, sick, sound)) as relay:
        await relay.drained()

    assert await ledger.effects(db.books, "books.sound") == {"order-1": [1, 2]}
    assert {letter.group for letter in await list_dead_letters(db.shop)} == {"books.sick"}
