"""Reading, writing, transactions and their failures, as a context's runtime role."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from tricorn.contract import PlatformReason, Refusal
from tricorn.data import ContextMigrations, Database, retry_aborted
from tricorn.data.testing import ClonedDatabase, DatabaseFactory


@pytest.fixture
async def cloned(
    database_factory: DatabaseFactory, orchard: Sequence[ContextMigrations]
) -> AsyncIterator[ClonedDatabase]:
    async with database_factory(orchard) as cloned:
        yield cloned


@pytest.fixture
async def pears(cloned: ClonedDatabase) -> AsyncIterator[Database]:
    async with cloned.connect("pears") as database:
        yield database


async def insert(pears: Database, *names: str) -> None:
    await pears.executemany("insert into pears (name, weight) values ($1, 100)", [(name,) for name in names])


async def test_the_five_methods_read_and_write_outside_a_transaction(pears: Database) -> None:
    await insert(pears, "Comice", "Abate")
    status = await pears.execute("update pears set weight = $1 where name = $2", 250, "Comice")
    row = await pears.fetchrow("select name, weight from pears where weight > 200")

    assert status == "UPDATE 1"
    assert row is not None
    assert dict(row) == {"name": "Comice", "weight": 250}
    assert [row["name"] for row in await pears.fetch("select name from pears order by name")] == ["Abate", "Comice"]
    assert await pears.fetchval("select count(*) from pears") == 2


async def test_a_transaction_commits_when_its_block_ends_and_rolls_back_when_it_raises(pears: Database) -> None:
    async with pears.transaction() as connection:
        await connection.execute("insert into pears (name, weight) values ('kept', 1)")

    async def fail() -> None:
        async with pears.transaction() as connection:
            await connection.execute("insert into pears (name, weight) values ('lost', 1)")
            raise Refusal("OUT_OF_PEARS", "there is none left")

    with pytest.raises(Refusal, match="OUT_OF_PEARS"):
        await fail()

    assert [row["name"] for row in await pears.fetch("select name from pears")] == ["kept"]
    assert (pears.pool.taken, pears.pool.idle) == (0, 1)


async def test_an_error_swallowed_inside_a_transaction_does_not_pass_for_a_commit(pears: Database) -> None:
    await insert(pears, "Comice")

    async def swallow() -> None:
        async with pears.transaction() as connection:
            with contextlib.suppress(asyncpg.UniqueViolationError):
                await connection.execute("insert into pears (name, weight) values ('Comice', 1)")

    with pytest.raises(asyncpg.InFailedSQLTransactionError, match="swallowed"):
        await swallow()

    assert await pears.fetchval("select count(*) from pears") == 1


async def test_rows_are_copied_in_and_counted(pears: Database) -> None:
    async with pears.transaction() as connection:
        count = await connection.copy_records("pears", [("a", 1), ("b", 2)], columns=["name", "weight"])

    assert count == 2
    assert await pears.fetchval("select sum(weight) from pears") == 3


async def test_a_cancelled_query_is_stopped_and_leaves_a_pool_that_works(
    cloned: ClonedDatabase, pears: Database
) -> None:
    async def sleep_in_transaction() -> None:
        async with pears.transaction() as connection:
            await connection.execute("insert into pears (name, weight) values ('lost', 1)")
            await connection.execute("select pg_sleep(3)")

    task = asyncio.create_task(sleep_in_transaction())
    async with cloned.connect() as admin:
        sleeping = "select count(*) from pg_stat_activity where datname = $1 and wait_event = 'PgSleep'"
        while not await admin.fetchval(sleeping, cloned.name):  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while pears.pool.taken:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)

        assert await admin.fetchval(sleeping, cloned.name) == 0
    assert await pears.fetchval("select count(*) from pears") == 0


async def run(pears: Database, *statements: str) -> None:
    async with pears.transaction() as connection:
        for statement in statements:
            await connection.execute(statement)


async def test_a_lock_that_is_not_given_in_time_is_unavailable(pears: Database) -> None:
    await insert(pears, "Comice")
    async with pears.transaction() as holder:
        await holder.execute("update pears set weight = 1 where name = 'Comice'")

        with pytest.raises(Refusal) as refusal:
            await run(pears, "set local lock_timeout = '20ms'", "update pears set weight = 2 where name = 'Comice'")

    assert refusal.value.reason == PlatformReason.UNAVAILABLE
    assert refusal.value.retry_after is not None


async def test_a_statement_that_takes_too_long_exceeds_the_deadline(pears: Database) -> None:
    with pytest.raises(Refusal) as refusal:
        await run(pears, "set local statement_timeout = '20ms'", "select pg_sleep(10)")

    assert refusal.value.reason == PlatformReason.DEADLINE_EXCEEDED


@pytest.mark.parametrize("kind", ["text", "text[]", "jsonb"])
async def test_a_text_that_cannot_be_stored_is_its_senders_fault(pears: Database, kind: str) -> None:
    value: object = {"text": "a\0b", "text[]": ["a", "\0"], "jsonb": '"a\\u0000b"'}[kind]

    with pytest.raises(Refusal) as refusal:
        await pears.fetchval(f"select $1::{kind}", value)

    assert (refusal.value.reason, refusal.value.retry_after) == (PlatformReason.INVALID_ARGUMENT, None)
    assert await pears.fetchval("select 1") == 1


async def test_a_job_may_take_longer_than_a_request(pears: Database) -> None:
    async with pears.transaction(statement_seconds=90) as connection:
        during = await connection.fetchval("show statement_timeout")

    assert during == "90s"
    assert await pears.fetchval("show statement_timeout") == "4s"


async def test_connections_that_nobody_needs_any_more_are_closed(
    pears: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.gather(*(pears.execute("select pg_sleep(0.05)") for _ in range(3)))
    assert pears.pool.idle == 3

    monkeypatch.setattr("tricorn.data.pool._IDLE_SECONDS", -1)
    await pears.execute("select 1")

    assert pears.pool.idle == 2


async def test_a_statement_is_planned_once_and_not_for_its_arguments(pears: Database) -> None:
    statement = "select name from pears where weight > $1"
    async with pears.transaction() as connection:
        for weight in range(3):
            await connection.fetch(statement, weight)
        plans = await connection.fetchrow(
            "select generic_plans as once, custom_plans as anew from pg_prepared_statements where statement = $1",
            statement,
        )

    assert plans is not None
    assert (plans["once"], plans["anew"]) == (3, 0)


async def test_a_plan_made_for_a_table_that_was_seen_empty_uses_its_index_nevertheless(
    cloned: ClonedDatabase, pears: Database
) -> None:
    async with cloned.connect() as admin:
        await admin.execute("analyze pears.pears")

    plan = await pears.fetch("explain update pears set weight = 1 where id = 2")

    assert any("Index Scan" in row[0] for row in plan)


async def test_the_limits_of_the_runtime_role_lie_below_the_deadlines(pears: Database) -> None:
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "search_path", "jit")

    shown = [await pears.fetchval(f"show {name}") for name in names]

    assert shown == ["2s", "4s", "5s", "pears, extensions", "off"]


async def test_a_deadlock_aborts_one_of_two_and_a_retry_lets_both_finish(pears: Database) -> None:
    await insert(pears, "a", "b")
    both_hold_one = asyncio.Barrier(2)
    runs = 0

    async def add_to(first: str, second: str) -> None:
        nonlocal runs
        runs += 1
        meets = runs <= 2
        async with pears.transaction() as connection:
            await connection.execute("update pears set weight = weight + 1 where name = $1", first)
            if meets:
                await both_hold_one.wait()
            await connection.execute("update pears set weight = weight + 1 where name = $1", second)

    await asyncio.gather(
        retry_aborted(lambda: add_to("a", "b")),
        retry_aborted(lambda: add_to("b", "a")),
    )

    assert runs == 3
    assert [row["weight"] for row in await pears.fetch("select weight from pears")] == [102, 102]


async def test_a_serialization_failure_is_aborted(pears: Database) -> None:
    await insert(pears, "Comice")

    async def lose() -> None:
        async with pears.transaction(isolation="repeatable read") as connection:
            await connection.fetch("select * from pears")
            await pears.execute("update pears set weight = 1 where name = 'Comice'")
            await connection.execute("update pears set weight = 2 where name = 'Comice'")

    with pytest.raises(Refusal) as refusal:
        await lose()

    assert refusal.value.reason == PlatformReason.ABORTED


async def test_a_full_pool_refuses_after_its_wait_and_serves_again_when_one_comes_back(
    cloned: ClonedDatabase,
) -> None:
    async with Database(cloned.url("pears"), size=1, acquire_seconds=0.05) as database:
        async with database.transaction():
            with pytest.raises(Refusal) as refusal:
                await database.fetchval("select 1")
            assert refusal.value.reason == PlatformReason.UNAVAILABLE

        assert await database.fetchval("select 1") == 1


async def test_waiting_callers_are_served_in_the_order_in_which_they_came(cloned: ClonedDatabase) -> None:
    served: list[int] = []
    async with Database(cloned.url("pears"), size=1) as database:

        async def call(number: int) -> None:
            async with database.transaction():
                served.append(number)

        async with database.transaction():
            tasks = [asyncio.create_task(call(number)) for number in range(5)]
            await asyncio.sleep(0)
            tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        assert served == [0, 2, 3, 4]
        assert database.pool.taken == 0


async def test_a_connection_that_was_left_in_a_transaction_is_not_used_again(
    cloned: ClonedDatabase, pears: Database
) -> None:
    await pears.execute("begin")

    await insert(pears, "Comice")

    async with cloned.connect("pears") as other:
        assert await other.fetchval("select count(*) from pears") == 1


async def test_a_waiter_cancelled_at_the_moment_of_its_turn_passes_it_on(cloned: ClonedDatabase) -> None:
    async with Database(cloned.url("pears"), size=1) as database:
        held = await database.pool.acquire()
        waiter = asyncio.create_task(database.pool.acquire())
        await asyncio.sleep(0)

        database.pool.release(held, clean=True)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)

        assert waiter.cancelled()
        assert database.pool.taken == 0
        assert await database.fetchval("select 1") == 1
