"""The ORM beside the event loop: lost connections, broken deadlocks, callers who leave."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import argon2
import pytest
from django.core.management import call_command
from django.db import connection

from agora.accounts import orm
from agora.accounts.service import Work
from agora_proto.accounts.v1 import accounts_pb2 as pb
from tricorn.contract import Refusal

ANN = "0190a000-0000-7000-8000-00000000000a"


@pytest.fixture
async def threads(shop: Any) -> AsyncIterator[orm.Threads]:
    made = orm.Threads(1, "test-orm", shop.app.database("accounts").url)
    yield made
    await asyncio.to_thread(made.close)


@pytest.fixture
def transact(threads: orm.Threads) -> orm.Transactions:
    return orm.Transactions(threads, publish=lambda event, *, subject: None)  # noqa: ARG005


def fail_with(state: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")


async def test_connections_that_were_killed_are_replaced(shop: Any) -> None:
    pair = await shop.login()
    await shop.app.admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name LIKE 'agora-%'"
    )

    assert (await shop.refresh(pair.refresh_token)).access_token
    assert (await shop.login()).access_token


async def test_a_transaction_that_lost_a_deadlock_is_done_again(transact: orm.Transactions) -> None:
    attempts = []

    def steps(_: Work) -> int:
        attempts.append(1)
        if len(attempts) == 1:
            fail_with("40P01")
        return len(attempts)

    assert await transact(steps) == 2


@pytest.mark.parametrize(("state", "reason"), [("55P03", "UNAVAILABLE"), ("57014", "DEADLINE_EXCEEDED")])
async def test_what_the_database_could_not_do_in_time_is_refused(
    transact: orm.Transactions, state: str, reason: str
) -> None:
    with pytest.raises(Refusal, match=reason):
        await transact(lambda _: fail_with(state))


async def test_a_caller_who_leaves_does_not_take_the_thread_along(threads: orm.Threads) -> None:
    release, running = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(running.set)
        release.wait(10)

    task = asyncio.create_task(threads.run(work))
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()

    assert await threads.run(lambda: "free") == "free"


async def test_a_password_that_was_hashed_at_another_cost_is_hashed_anew_at_the_next_login(shop: Any) -> None:
    cheap = "argon2" + argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("correct horse battery")
    await shop.app.admin.execute("UPDATE accounts.users SET password = $1 WHERE user_id = $2", cheap, ANN)

    await shop.login()

    stored = await shop.app.admin.fetchval("SELECT password FROM accounts.users WHERE user_id = $1", ANN)
    assert stored.startswith("argon2$argon2id$v=19$m=19456,t=5,p=1$")
    assert (await shop.login()).access_token


async def test_the_migrations_make_what_the_models_say(threads: orm.Threads) -> None:
    await threads.run(lambda: call_command("makemigrations", "accounts", check=True, dry_run=True, verbosity=0))


async def test_a_change_and_its_event_are_committed_together_or_not_at_all(shop: Any) -> None:
    await shop.app.admin.execute("ALTER TABLE accounts.outbox ADD CHECK (type <> 'agora.accounts.v1.UserUpdated')")

    with pytest.raises(Refusal):
        await shop.client(ANN).update_me(pb.UpdateMeRequest(user=pb.UserChange(display_name="Anna")))

    assert (await shop.client(ANN).get_me(pb.GetMeRequest())).display_name == "Ann"
