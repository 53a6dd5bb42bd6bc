import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from tests.events import ledger

from tricorn import events
from tricorn.contract import PlatformReason, Refusal
from tricorn.events.log import read_latest


async def test_events_take_effect_once_and_in_order_of_their_aggregate(db: Any) -> None:
    for number in range(5):
        await ledger.publish(db.shop, f"order-{number}", "a", "b")
        await ledger.publish(db.shop, f"order-{number}", "c")

    async with ledger.running(ledger.relay_for(db.shop, ledger.bookkeeper(db.books))) as relay:
        await relay.drained()

    assert await ledger.effects(db.books) == {f"order-{number}": [1, 2, 3] for number in range(5)}
    assert await db.shop.fetchval("SELECT count(*) FROM outbox_pending") == 0


async def test_batches_of_a_group_follow_each_other_however_many_events_wait(db: Any) -> None:
    at_once: list[int] = [0]

    async def count(value: str, meta: events.EventMeta) -> None:
        del value, meta
        at_once.append(at_once[-1] + 1)
        await asyncio.sleep(0.001)
        at_once.append(at_once[-1] - 1)

    async with db.shop.transaction() as connection:
        await events.publish(connection, [(StringValue(value="v"), f"order-{number}") for number in range(150)])

    async with ledger.running(ledger.relay_for(db.shop, ledger.bookkeeper(db.books, before=count))) as relay:
        await relay.drained()

    assert len(await ledger.effects(db.books)) == 150
    assert max(at_once) == 1


async def test_a_handler_of_many_gets_what_follows_each_other_in_order_and_one_that_fails_takes_no_other_with_it(
    db: Any,
) -> None:
    batches: list[list[str]] = []

    async def write(taken: Any, work: events.Work[ledger.Books]) -> None:
        batches.append([event.value for event, _ in taken])
        for event, meta in taken:
            if event.value == "bad":
                raise ledger.PoisonError(event.value)
            await work.repository.write("books.many", meta, event.value)

    group = events.Subscription("books.many", db.books, ledger.Books)
    group.on_many(StringValue, write)
    await ledger.publish(db.shop, "order-1", "a", "b")
    await ledger.publish(db.shop, "order-2", "c")
    async with ledger.running(ledger.relay_for(db.shop, group)) as relay:
        await relay.drained()
        await ledger.publish(db.shop, "order-3", "bad")
        await ledger.publish(db.shop, "order-1", "d")
        await relay.drained()

    assert batches[:2] == [["a", "b", "c"], ["bad", "d"]]
    assert await ledger.effects(db.books, "books.many") == {"order-1": [1, 2, 3], "order-2": [1]}
    assert await db.shop.fetchval("SELECT error FROM dead_letter") == "PoisonError: bad"


async def test_a_handler_of_many_that_publishes_has_no_effect_and_is_told(db: Any) -> None:
    async def write(taken: Any, work: events.Work[ledger.Books]) -> None:
        for event, meta in taken:
            await work.repository.write("books.many", meta, event.value)
            await work.publish(StringValue(value="of my own"), subject="book-1")

    group = events.Subscription("books.many", db.books, ledger.Books)
    group.on_many(StringValue, write)
    await ledger.publish(db.shop, "order-1", "a")
    async with ledger.running(ledger.relay_for(db.shop, group)) as relay:
        await relay.drained()

    assert await ledger.effects(db.books, "books.many") == {}
    assert await db.shop.fetchval("SELECT error FROM dead_letter") == (
        "RuntimeError: group 'books.many': a handler of many publishes nothing"
    )


@pytest.mark.parametrize("seed", range(4))
async def test_random_failures_lose_nothing_double_nothing_and_let_nothing_overtake(db: Any, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a reproducible test
    tries: Counter[tuple[str, str]] = Counter()

    def unreliable(group: str) -> Any:
        async def before(value: str, meta: events.EventMeta) -> None:
            tries[group, meta.id] += 1
            await asyncio.sleep(chance.choice([0, 0, 0.001]))
            if tries[group, meta.id] < 3 and chance.random() < 0.3:
                raise RuntimeError(value)

        return before

    groups = ["books.one", "books.two"]
    relay = ledger.relay_for(
        db.shop, *(ledger.bookkeeper(db.books, group, unreliable(group)) for group in groups), in_the_works=50
    )
    published: Counter[str] = Counter()

    async with ledger.running(relay):
        for _ in range(120):
            subject = f"order-{chance.randrange(12)}"
            count = chance.randint(1, 3)
            await ledger.publish(db.shop, subject, *(["v"] * count))
            published[subject] += count
            relay.poke()
        await relay.drained()

    expected = {subject: list(range(1, count + 1)) for subject, count in published.items()}
    for group in groups:
        assert await ledger.effects(db.books, group) == expected
    assert max(tries.values()) > 1


async def test_an_event_that_commits_late_is_not_passed_over(db: Any) -> None:
    relay = ledger.relay_for(db.shop, ledger.bookkeeper(db.books))
    async with ledger.running(relay):
        async with db.shop.transaction() as slow:
            await events.publish(slow, [(StringValue(value="early position"), "order-1")])
            await ledger.publish(db.shop, "order-2", "later position")
            await relay.drained()
            assert await ledger.effects(db.books) == {"order-2": [1]}
        await relay.drained()

    assert await ledger.effects(db.books) == {"order-2": [1], "order-1": [1]}
    positions = await db.shop.fetch("SELECT subject FROM outbox ORDER BY position")
    assert [row["subject"] for row in positions] == ["order-1", "order-2"]


async def test_a_group_that_cannot_take_anything_now_gets_it_later_without_dead_letters(db: Any) -> None:
    refusals = 5

    async def unavailable(value: str, meta: events.EventMeta) -> None:
        nonlocal refusals
        del value, meta
        if refusals:
            refusals -= 1
            raise Refusal(PlatformReason.UNAVAILABLE, "the other context is away")

    await ledger.publish(db.shop, "order-1", "a", "b")
    async with ledger.running(ledger.relay_for(db.shop, ledger.bookkeeper(db.books, before=unavailable))) as relay:
        await relay.drained()

    assert await ledger.effects(db.books) == {"order-1": [1, 2]}
    assert await db.shop.fetchval("SELECT count(*) FROM dead_letter") == 0


async def test_two_relays_share_the_slots_and_deliver_everything_once(db: Any) -> None:
    first = ledger.relay_for(db.shop, ledger.bookkeeper(db.books), lease_seconds=0.6)
    second = ledger.relay_for(db.shop, ledger.bookkeeper(db.books), lease_seconds=0.6)

    async with ledger.running(first), ledger.running(second):
        for number in range(200):
            await ledger.publish(db.shop, f"order-{number % 40}", "v")
            first.poke()
            second.poke()
        while (len(first.leases.slots), len(second.leases.slots)) != (4, 4):  # noqa: ASYNC110 - both are at work
            await asyncio.sleep(0.05)
        await ledger.publish(db.shop, "order-last", "v")
        await asyncio.gather(first.drained(), second.drained())

    expected = {f"order-{number}": [1, 2, 3, 4, 5] for number in range(40)} | {"order-last": [1]}
    assert await ledger.effects(db.books) == expected


async def test_a_relay_that_stops_in_order_leaves_its_slots_to_the_others_at_once(db: Any) -> None:
    async with ledger.running(ledger.relay_for(db.shop, lease_seconds=600)) as relay:
        await relay.drained()

    async with ledger.running(ledger.relay_for(db.shop, ledger.bookkeeper(db.books), lease_seconds=600)) as heir:
        await ledger.publish(db.shop, "order-1", "v")
        await heir.drained()

    assert await ledger.effects(db.books) == {"order-1": [1]}


async def test_an_event_that_is_twice_in_a_delivery_takes_effect_once(db: Any) -> None:
    await ledger.publish(db.shop, "order-1", "a", "b")
    delivery = await read_latest(db.shop, "shop")

    outcomes = await ledger.bookkeeper(db.books).deliver([*delivery, *delivery])

    assert outcomes == [""] * 4
    assert await ledger.effects(db.books) == {"order-1": [1, 2]}
