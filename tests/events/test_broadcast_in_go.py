"""The same broadcasts, followed by a process in Go that may read what is published; events that Go writes, relayed by Python; and Go's sink."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.events import ledger

GO = Path(__file__).parents[2] / "go" / "tricorn"
LONGEST_SECONDS = 600


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("go") is None, reason="there is no go")
async def test_go_follows_published_events_and_what_it_publishes_is_delivered(database_factory: Any) -> None:
    async with database_factory(ledger.CONTEXTS, prefix="events") as made, made.connect() as administrator:
        await administrator.execute("""
            CREATE VIEW published.shop_events_v1 AS
            SELECT position, id, type, subject, sequence, time, traceparent, causation, data FROM shop.outbox
        """)
        await administrator.execute("GRANT SELECT ON published.shop_events_v1 TO events_readers")
        done = await asyncio.create_subprocess_exec(
            "go", "test", "-race", "-count=1", "-v", "./events",
            cwd=GO,
            env={**os.environ, "TRICORN_DATABASE_SHOP": made.url("shop"), "TRICORN_DATABASE_BOOKS": made.url("books")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(LONGEST_SECONDS):
            said, _ = await done.communicate()

        async with made.connect("shop") as shop, made.connect("books") as books:
            async with ledger.running(ledger.relay_for(shop, ledger.bookkeeper(books))) as relay:
                await relay.drained()
            delivered = await ledger.effects(books)

    assert done.returncode == 0, said.decode()
    assert sorted(map(len, delivered.values())) == [1, 2, 30]
    assert all(numbers == [*range(1, len(numbers) + 1)] for numbers in delivered.values())
    assert b"--- SKIP" not in said
    assert said.count(b"--- PASS") >= 5
