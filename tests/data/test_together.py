"""Statements that come together share a transaction, and nothing else."""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from operator import itemgetter

import asyncpg
import pytest

from tricorn.contract import PlatformReason, Refusal
from tricorn.data import ContextMigrations, Database, Record, Together, array_text, asked
from tricorn.data.testing import DatabaseFactory

_ADD = f"""
WITH asked AS (SELECT * FROM {asked("name text, weight int")}), added AS (
    INSERT INTO pears (name, weight) SELECT name, weight FROM asked ON CONFLICT (name) DO NOTHING
    RETURNING name, pg_current_xact_id()::text AS transaction
)
SELECT n, added.* FROM added JOIN asked USING (name)
"""


@pytest.fixture
async def pears(database_factory: DatabaseFactory, orchard: Sequence[ContextMigrations]) -> AsyncIterator[Database]:
    async with database_factory(orchard) as cloned, cloned.connect("pears") as database:
        yield database


async def names(pears: Database) -> list[str]:
    return [row["name"] for row in await pears.fetch("SELECT name FROM pears ORDER BY id")]


async def test_what_comes_at_the_same_time_commits_together_in_order_and_each_gets_its_own_answer(
    pears: Database,
) -> None:
    add = Together(pears, _ADD, key=itemgetter(0))

    rows = await asyncio.gather(*(add(name, 1) for name in ("c", "a", "b", "a")))

    assert [row and row["name"] for row in rows] == ["c", "a", "b", None]
    assert len({row["transaction"] for row in rows if row}) == 1
    assert await names(pears) == ["a", "b", "c"]


async def test_two_that_want_the_same_row_never_share_a_statement(pears: Database) -> None:
    statement = f"""
        UPDATE pears SET weight = pears.weight + more FROM {asked("wanted text, more int")} WHERE name = wanted
        RETURNING asked.n, pears.weight
    """
    await pears.execute("INSERT INTO pears (name, weight) VALUES ('a', 1), ('b', 1)")
    grow = Together(pears, statement, key=itemgetter(0))

    rows = await asyncio.gather(*(grow(name, 1) for name in "aabaca"))

    assert [row and row["weight"] for row in rows] == [2, 3, 2, 4, None, 5]


async def test_no_more_than_allowed_share_a_transaction(pears: Database) -> None:
    add = Together(pears, _ADD, key=itemgetter(0), most=2)

    rows = await asyncio.gather(*(add(name, 1) for name in "abcde"))

    transactions = [row["transaction"] for row in rows if row]
    assert [transactions.count(each) for each in transactions] == [2, 2, 2, 2, 1]


async def test_one_that_fails_takes_nothing_of_the_others_with_it(pears: Database) -> None:
    add = Together(pears, _ADD, key=itemgetter(0))

    outcomes = await asyncio.gather(add("a", 1), add("b", None), add("c", 1), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [asyncpg.Record, asyncpg.NotNullViolationError, asyncpg.Record]
    assert await names(pears) == ["a", "c"]


async def test_one_that_cannot_even_be_sent_takes_nothing_of_the_others_with_it(pears: Database) -> None:
    add = Together(pears, _ADD, key=itemgetter(0))

    outcomes = await asyncio.gather(add("a", 1), add("b", "heavy"), add("c", 1), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [asyncpg.Record, asyncpg.DataError, asyncpg.Record]
    assert await names(pears) == ["a", "c"]


async def test_what_cannot_be_put_in_order_is_told_so_and_strands_nobody(pears: Database) -> None:
    add = Together(pears, _ADD, key=itemgetter(0))

    outcomes = await asyncio.gather(add("a", 1), add(None, 1), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [TypeError, TypeError]


async def test_what_cannot_be_a_key_is_told_to_who_asked_alone(pears: Database) -> None:
    add = Together(pears, _ADD, key=itemgetter(0))

    async with asyncio.timeout(20):
        outcomes = await asyncio.gather(add("a", 1), add(["b"], 1), add("c", 1), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [asyncpg.Record, TypeError, asyncpg.Record]


async def test_a_full_company_waits_for_nobody_however_many_ask_turn_after_turn(pears: Database) -> None:
    asking: list[int] = []
    begun: list[int] = []

    class Noting(Database):
        async def fetch(self, sql: str, *args: object) -> list[Record]:
            begun.append(len(asking))
            return await super().fetch(sql, *args)

    async def late(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.append(turns)
        await add(str(turns), 1)

    async with Noting(pears.url) as database:
        add = Together(database, _ADD, key=itemgetter(0), most=2)
        await asyncio.gather(*map(late, reversed(range(20))))

    assert begun[0] <= 4


async def test_when_several_of_one_caller_fail_it_is_told_once_and_nothing_is_left_to_tell(pears: Database) -> None:
    untold: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: untold.append(context))
    add = Together(pears, _ADD, key=None)

    with contextlib.suppress(asyncpg.NotNullViolationError):
        assert not await add.each([])
        await add.each((name, None) for name in "abc")
    await asyncio.sleep(0)  # the task that ran it is let go of
    gc.collect()

    assert untold == []


async def test_who_is_cancelled_with_several_asked_for_has_none_of_them_done(pears: Database) -> None:
    add = Together(pears, _ADD, key=None)
    gone, stays = (asyncio.create_task(add.each((name, 1) for name in given)) for given in ("abc", "d"))
    await asyncio.sleep(0)  # both have asked, and the statement begins in the next turn

    gone.cancel()
    await stays

    assert await names(pears) == ["d"]


async def test_columns_may_have_types_of_several_words_and_with_commas(pears: Database) -> None:
    columns = "price numeric(10, 2), due timestamp with time zone, wanted text"
    read = Together(pears, f"SELECT n, price, due, wanted FROM {asked(columns)}", key=itemgetter(2))
    due = datetime(2026, 11, 22, 14, tzinfo=UTC)

    row = await read(Decimal("1.50"), due, "a")

    assert row is not None
    assert tuple(row) == (1, Decimal("1.50"), due, "a")


async def test_an_array_as_a_text_is_the_same_array(pears: Database) -> None:
    values = ["", "NULL", "null", 'a"b', "back\\slash", '\\"', "a,b", "{a}", " blank ", "line\n", "ünï€😀", "'", "--"]

    read = await pears.fetchval("SELECT $1::text::text[]", array_text(values))

    assert read == values
    assert await pears.fetchval("SELECT $1::text::varchar[]", array_text([])) == []
    assert await pears.fetchval("SELECT $1::text::bigint[]", array_text([-(2**63), 0, 7])) == [-(2**63), 0, 7]


async def test_a_lost_connection_is_told_to_all_and_nothing_is_run_again(pears: Database) -> None:
    statement = f"SELECT n, pg_terminate_backend(pg_backend_pid()) FROM {asked('number int')} WHERE number = 3"
    end = Together(pears, statement, key=itemgetter(0))

    outcomes = await asyncio.gather(*(end(number) for number in (1, 2, 3)), return_exceptions=True)

    refused = [outcome.reason for outcome in outcomes if isinstance(outcome, Refusal)]
    assert refused == [PlatformReason.UNAVAILABLE] * 3


async def test_who_is_cancelled_before_the_transaction_begins_is_left_out_of_it(pears: Database) -> None:
    add = Together(pears, _ADD, key=itemgetter(0))
    gone, stays = (asyncio.create_task(add(name, 1)) for name in ("gone", "stays"))
    await asyncio.sleep(0)  # both have asked, and the transaction begins in the next turn

    gone.cancel()
    await stays

    assert await names(pears) == ["stays"]


async def test_a_server_that_gives_no_answer_holds_up_those_alone_who_wait_for_it(pears: Database) -> None:
    backend = Together(
        pears,
        f"SELECT n, pg_backend_pid() AS pid FROM {asked('number int')}",
        key=itemgetter(0),
        at_once=1,
        longest=0.3,
    )
    first = await backend(1)
    assert first is not None
    os.kill(first["pid"], signal.SIGSTOP)
    try:
        async with asyncio.timeout(20):
            outcomes = await asyncio.gather(backend(1), backend(2), return_exceptions=True)
            second = None
            while second is None:  # a busy machine may need longer for a new connection, too
                with contextlib.suppress(Refusal):
                    second = await backend(1)
    finally:
        os.kill(first["pid"], signal.SIGCONT)

    assert [outcome.reason for outcome in outcomes if isinstance(outcome, Refusal)] == [PlatformReason.UNAVAILABLE] * 2
    assert second["pid"] != first["pid"]
