import asyncio
import json
from collections.abc import Collection
from importlib import resources
from typing import Any

import asyncpg
import psycopg
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from tests.events import ledger

from tricorn import events
from tricorn.telemetry import continue_trace, traceparent
from tricorn.wire import call_scope


def test_the_partition_of_a_subject_is_the_one_of_the_shared_vectors() -> None:
    vectors = json.loads(resources.files(events).joinpath("partition_vectors.json").read_text(encoding="utf-8"))

    assert vectors
    for vector in vectors:
        assert events.partition_of(vector["subject"]) == vector["partition"]


async def test_thirty_publishers_at_once_give_one_aggregate_a_sequence_without_gaps(db: Any) -> None:
    async def publish(number: int) -> None:
        async with db.shop.transaction() as connection:
            await events.publish(connection, [(StringValue(value=str(number)), "order-1")] * 2)
            if number % 5 == 0:
                await connection.execute("SELECT 1 / 0")

    await asyncio.gather(*(publish(number) for number in range(30)), return_exceptions=True)

    rows = await db.shop.fetch("SELECT sequence FROM outbox ORDER BY position")
    assert [row["sequence"] for row in rows] == list(range(1, 49))


async def test_one_call_numbers_events_of_several_aggregates_in_the_order_given(db: Any) -> None:
    pairs = [("b", "1"), ("a", "2"), ("b", "3"), ("a", "4"), ("c", "5")]

    async with db.shop.transaction() as connection:
        await events.publish(connection, [(StringValue(value=value), subject) for subject, value in pairs])

    rows = await db.shop.fetch("SELECT subject, sequence, data FROM outbox ORDER BY position")
    found = [(row["subject"], row["sequence"], StringValue.FromString(row["data"]).value) for row in rows]
    assert found == [("b", 1, "1"), ("a", 1, "2"), ("b", 2, "3"), ("a", 2, "4"), ("c", 1, "5")]
    assert await db.shop.fetchval("SELECT count(*) FROM outbox_pending") == 5


async def test_publishers_of_the_same_aggregates_in_opposite_order_do_not_deadlock(db: Any) -> None:
    async def publish(*subjects: str) -> None:
        async with db.shop.transaction() as connection:
            await events.publish(connection, [(StringValue(), subject) for subject in subjects])

    await asyncio.gather(*(publish(*("ab" if number % 2 else "ba")) for number in range(30)))

    assert await db.shop.fetchval("SELECT count(*) FROM outbox") == 60


async def test_a_work_announces_when_it_commits_and_wakes_the_relay(db: Any) -> None:
    woken: list[Collection[str]] = []
    begin = events.begin_factory(db.shop, ledger.Books, woken.append)

    async with begin() as work:
        await work.publish(StringValue(value="x"), subject="order-1")
        await work.publish(StringValue(value="y"), subject="order-1")
        assert not woken
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is what fails
        async with begin() as work:
            await work.publish(StringValue(value="z"), subject="order-1")
            raise ZeroDivisionError
    async with begin():
        pass

    assert woken == [{ledger.STRING}]
    assert await db.shop.fetchval("SELECT count(*) FROM outbox") == 2


async def test_an_event_carries_the_trace_and_the_cause_of_what_published_it(db: Any) -> None:
    with continue_trace(), call_scope(causation="key-1"):
        expected = traceparent()
        await ledger.publish(db.shop, "order-1", "x")

    row = await db.shop.fetchrow("SELECT traceparent, causation, type FROM outbox")
    assert tuple(row) == (expected, "key-1", ledger.STRING)


@pytest.mark.parametrize("schema", ["", "shop"])
async def test_a_synchronous_cursor_publishes_like_everyone_else(db: Any, schema: str) -> None:
    await ledger.publish(db.shop, "order-1", "x")

    def publish() -> None:
        with psycopg.connect(db.shop.url) as connection, connection.cursor() as cursor:
            events.publish_sync(cursor, StringValue(value="100 %s"), subject="order-1", schema=schema, causation="k")

    await asyncio.to_thread(publish)

    async with ledger.running(ledger.relay_for(db.shop, ledger.bookkeeper(db.books))) as relay:
        await relay.drained()
    assert await ledger.effects(db.books) == {"order-1": [1, 2]}
    assert await db.books.fetchval("SELECT value FROM effect ORDER BY number DESC LIMIT 1") == "100 %s"


async def test_an_event_without_a_subject_is_refused(db: Any) -> None:
    with pytest.raises(ValueError, match="needs a subject"):
        async with db.shop.transaction() as connection:
            await events.publish(connection, [(StringValue(), "")])


async def test_a_process_that_commits_often_sends_few_notifications(db: Any) -> None:
    heard: list[str] = []
    arrived = asyncio.Event()

    def hear(payload: str) -> None:
        if payload:
            heard.append(payload)
            arrived.set()

    await db.books.listen(events.poke.channel_of("shop"), hear)
    poke = events.Poke("shop", db.shop, interval=3600.0)
    await poke.start()

    await asyncio.to_thread(poke.from_thread)
    await arrived.wait()
    for _ in range(20):
        poke()
        await db.books.execute("SELECT 1")

    await poke.stop()
    assert heard == [poke.token]


def test_only_who_wants_events_of_a_type_is_woken_for_it(db: Any) -> None:
    woken: list[str] = []
    poke = events.Poke("shop", db.shop)
    poke.add_local(lambda: woken.append("all"))
    poke.add_local(lambda: woken.append("strings"), [ledger.STRING])

    poke([ledger.STRING])
    poke(["agora.Nothing"])
    poke()

    assert woken == ["all", "strings", "all", "all", "strings"]


async def test_a_change_and_its_event_are_one_statement_and_without_the_change_there_is_no_event(db: Any) -> None:
    woken: list[Collection[str]] = []
    announce = events.announce_factory(db.shop, woken.append)
    await db.shop.execute("CREATE TEMPORARY TABLE pears (name text PRIMARY KEY, weight int)")
    await db.shop.execute("INSERT INTO pears VALUES ('Comice', 1)")
    change = events.Change(
        "wanted text, wished int",
        "UPDATE pears SET weight = wished FROM asked WHERE name = wanted RETURNING asked.n, name, weight",
    )

    changed = await announce(change, "Comice", 2, event=StringValue(value="x"), subject="order-1")
    again = await announce(change, "Comice", 3, event=StringValue(value="y"), subject="order-1")
    missed = await announce(change, "Abate", 4, event=StringValue(value="z"), subject="order-1")

    rows = await db.shop.fetch("SELECT sequence, data FROM outbox ORDER BY position")
    assert (dict(changed or {}), dict(again or {}), missed) == (
        {"n": 1, "name": "Comice", "weight": 2},
        {"n": 1, "name": "Comice", "weight": 3},
        None,
    )
    assert [(row["sequence"], StringValue.FromString(row["data"]).value) for row in rows] == [(1, "x"), (2, "y")]
    assert await db.shop.fetchval("SELECT count(*) FROM outbox_pending") == 2
    assert woken == [(ledger.STRING,), (ledger.STRING,)]


async def test_changes_at_the_same_time_share_a_transaction_and_only_those_that_found_their_row_are_announced(
    db: Any,
) -> None:
    announce = events.announce_factory(db.shop)
    await db.shop.execute(
        "INSERT INTO aggregate_sequence (subject, last) VALUES ('row-a', 1), ('row-b', 1), ('row-c', 1)"
    )
    change = events.Change(
        "wanted text",
        """
        UPDATE aggregate_sequence SET last = 7 FROM asked WHERE subject = 'row-' || wanted
        RETURNING asked.n, wanted, subject, last, event_id, pg_current_xact_id()::text AS transaction
        """,
    )

    rows = await asyncio.gather(
        *(announce(change, name, event=StringValue(value=name), subject=name) for name in "cadb")
    )

    assert [row and row["wanted"] for row in rows] == ["c", "a", None, "b"]
    assert len({row["transaction"] for row in rows if row}) == 1
    logged = await db.shop.fetch("SELECT subject, sequence FROM outbox ORDER BY subject")
    assert [tuple(row) for row in logged] == [("a", 1), ("b", 1), ("c", 1)]


async def test_a_change_that_fails_announces_nothing(db: Any) -> None:
    announce = events.announce_factory(db.shop)
    change = events.Change(
        "wanted text, divisor int",
        "UPDATE aggregate_sequence SET last = last / divisor FROM asked WHERE subject = wanted RETURNING asked.n",
    )
    await db.shop.execute("INSERT INTO aggregate_sequence (subject, last) VALUES ('other', 1)")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await announce(change, "other", 0, event=StringValue(), subject="order-1")

    assert await db.shop.fetchval("SELECT count(*) FROM outbox") == 0
