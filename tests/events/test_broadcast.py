import asyncio
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from tests.events import ledger

from tricorn import events
from tricorn.events import broadcast
from tricorn.events.broadcast import Tail


class Heard:
    """A process that listens to the shop's broadcasts."""

    def __init__(self, db: Any, **options: Any) -> None:
        self.values: list[str] = []
        self.gaps = 0
        self.tail = Tail("shop", db.shop, **options)
        self.tail.on(StringValue, self.hear)
        self.tail.on_gap(self.flush)

    async def hear(self, event: StringValue, meta: events.EventMeta) -> None:
        if event.value == "defect":
            raise RuntimeError(meta.id)
        self.values.append(event.value)

    async def flush(self) -> None:
        self.gaps += 1

    @asynccontextmanager
    async def listening(self) -> Any:
        stop = asyncio.Event()
        task = asyncio.create_task(self.tail.run(stop))
        await self.tail.started.wait()
        try:
            yield self
        finally:
            stop.set()
            await task


async def test_every_process_hears_what_is_published_after_its_start(db: Any) -> None:
    await ledger.publish(db.shop, "session-0", "before")
    first, second = Heard(db), Heard(db)

    async with first.listening(), second.listening():
        await ledger.publish(db.shop, "session-1", "a", "b")
        async with db.shop.transaction() as connection:
            await events.publish(connection, [(Int64Value(value=1), "session-1")])
        await first.tail.looked()
        await second.tail.looked()

    assert first.values == second.values == ["a", "b"]
    assert first.gaps == second.gaps == 1


async def test_a_poke_of_another_process_is_heard_without_waiting_for_the_poll(db: Any) -> None:
    heard, poke = Heard(db, poll_seconds=3600.0), events.Poke("shop", db.shop)
    await poke.start()

    async with heard.listening():
        await ledger.publish(db.shop, "session-1", "a")
        poke()
        async with asyncio.timeout(10):
            while not heard.values:  # noqa: ASYNC110 - what is awaited is the handler's effect
                await asyncio.sleep(0.01)

    await poke.stop()


async def test_an_event_that_commits_behind_later_ones_is_heard_too(db: Any) -> None:
    heard = Heard(db)
    async with heard.listening():
        async with db.shop.transaction() as slow:
            await events.publish(slow, [(StringValue(value="late"), "session-1")])
            await ledger.publish(db.shop, "session-2", "early")
            await heard.tail.looked()
            assert heard.values == ["early"]
        await heard.tail.looked()

    assert heard.values == ["early", "late"]


async def test_a_look_reads_no_events_of_other_types(db: Any) -> None:
    async with db.shop.transaction() as connection:
        await connection.execute(f"PREPARE look AS {broadcast._READ}")
        plan = await connection.fetch("EXPLAIN EXECUTE look (0, '{}', '{agora.Nothing}')")

    conditions = [row[0].strip() for row in plan if "Index Cond" in row[0]]
    assert any('ROW(type, "position")' in condition for condition in conditions), plan


async def test_a_process_that_was_away_too_long_is_told_to_flush(db: Any) -> None:
    heard = Heard(db, poll_seconds=0.05, gap_seconds=0.0)

    async with heard.listening():
        await heard.tail.looked()

    assert heard.gaps >= 2


async def test_a_handler_that_fails_is_told_to_flush_and_holds_up_nobody(db: Any) -> None:
    heard = Heard(db)
    async with heard.listening():
        await ledger.publish(db.shop, "session-1", "defect", "a")
        await heard.tail.looked()
        await heard.tail.looked()

    assert heard.values == ["a"]
    assert heard.gaps == 2


async def test_what_is_older_than_any_transaction_is_not_read_again(db: Any) -> None:
    heard = Heard(db, late_seconds=0.0)

    async with heard.listening():
        await ledger.publish(db.shop, "session-1", "a")
        await heard.tail.looked()
        await heard.tail.looked()

    assert heard.values == ["a"]
    assert heard.tail._past is not None
    assert len(heard.tail._past) == 0
