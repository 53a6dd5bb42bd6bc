"""Groups that move with a contract of their context; what it is bound to is a process of the test's own here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from tests.events import ledger

from tricorn.contract import PlatformReason, Refusal
from tricorn.data import uuid7
from tricorn.events import EventMeta, StoredEvent, Subscription, moved
from tricorn.events.moved import Natives
from tricorn.events.sink import EventSinkServer, LocalSink
from tricorn.telemetry import CallStats
from tricorn.wire import Binding, Bindings, Endpoints, GrpcServer, Service, bucket, call_scope

FIRST, SECOND = "books.v1.FirstService", "books.v1.SecondService"
GROUP = "books.all"
SUBJECTS = [f"order-{number}" for number in range(20)]


class Moving:
    """A group in Python, and in processes that stand for native ones; who handled what is noted."""

    def __init__(self, db: Any, folder: Path) -> None:
        self.db, self.folder = db, folder
        self.taken: dict[str, str] = {}
        self.stats = CallStats()
        self.generation = 0
        self.endpoints = Endpoints(Service(CallStats()))
        self.subscription = self.of("python")
        self.subscription.contracts = [FIRST, SECOND]
        self.sink = LocalSink([self.subscription], Natives(self.endpoints, self.stats).deliver)

    def of(self, who: str) -> Subscription[ledger.Books]:
        async def note(value: str, meta: EventMeta) -> None:
            if value == f"not by {who}":
                raise ledger.PoisonError(value)
            if value == f"never by {who}":
                await asyncio.Event().wait()
            self.taken[meta.subject] = who

        return ledger.bookkeeper(self.db.books, before=note)

    def bind(self, share: int = 10_000, contract: str = FIRST, implementation: str = "go") -> None:
        self.generation += 1
        shares = {implementation: share} if share else {}
        self.endpoints.update(bindings=Bindings(self.generation, {contract: Binding(contract, shares)}))

    @asynccontextmanager
    async def native(self, server: object | None, contract: str = FIRST) -> AsyncIterator[GrpcServer]:
        """A process that answers with a server; and is listed for a contract."""
        service = Service(CallStats(), "go")
        if server is not None:
            service.add(server)
        address = f"unix:{self.folder}/go"
        self.endpoints.update(endpoints={contract: {"go": [address]}})
        running = GrpcServer(service, address)
        await running.start()
        try:
            yield running
        finally:
            await running.stop(0)

    def go(self) -> EventSinkServer:
        return EventSinkServer(LocalSink([self.of("go")]))

    async def deliver(self, *subjects: str, value: str = "v") -> dict[str, str]:
        """Who handled the events, one of each aggregate; all of them took effect."""
        self.taken.clear()
        before = await self.db.books.fetchval("SELECT count(*) FROM effect")
        outcomes = await self.sink.deliver(GROUP, [event(subject, value) for subject in subjects])
        assert outcomes == ["" for _ in subjects]
        assert await self.db.books.fetchval("SELECT count(*) FROM effect") == before + len(subjects)
        return dict(self.taken)

    @property
    def fallbacks(self) -> dict[str, int]:
        return {why: calls for (_, _, why), calls in self.stats.fallbacks().items()}


def event(subject: str, value: str = "v") -> StoredEvent:
    meta = EventMeta(uuid7(), ledger.STRING, "shop", subject, 1, datetime.now(UTC), "")
    return StoredEvent(0, 0, "", StringValue(value=value).SerializeToString(), meta)


@pytest.fixture
async def moving(db: Any, tmp_path: Path) -> AsyncIterator[Moving]:
    made = Moving(db, tmp_path)
    yield made
    await made.endpoints.close()


async def test_a_group_moves_with_its_contract_and_back(moving: Moving) -> None:
    async with moving.native(moving.go()):
        before = await moving.deliver("order-1")
        moving.bind()
        moved_there = await moving.deliver("order-1")
        moving.bind(0)
        back = await moving.deliver("order-1")

    assert [before, moved_there, back] == [{"order-1": "python"}, {"order-1": "go"}, {"order-1": "python"}]
    (figures,) = moving.stats.snapshot()
    assert (figures.service, figures.implementation, figures.calls) == ("tricorn.v1.EventSinkService", "go", 1)


async def test_a_share_is_of_aggregates_as_that_of_calls_is_of_entities(moving: Moving) -> None:
    moving.bind(5000)
    async with moving.native(moving.go()):
        taken = await moving.deliver(*SUBJECTS)

    assert taken == {subject: "go" if bucket(FIRST, subject) < 5000 else "python" for subject in SUBJECTS}
    assert set(taken.values()) == {"go", "python"}


async def test_what_fails_in_either_is_told_in_the_order_of_the_events(moving: Moving) -> None:
    moving.bind(5000)
    there = next(subject for subject in SUBJECTS if bucket(FIRST, subject) < 5000)
    here = next(subject for subject in SUBJECTS if bucket(FIRST, subject) >= 5000)
    async with moving.native(moving.go()):
        outcomes = await moving.sink.deliver(
            GROUP, [event(there), event(here), event(there, "not by go"), event(here, "not by python"), event(there)]
        )

    behind = "behind an event of the same aggregate that failed"
    assert outcomes == ["", "", "PoisonError: not by go", "PoisonError: not by python", behind]


async def test_a_group_moves_with_any_contract_of_its_context_whose_process_lists_it(moving: Moving) -> None:
    moving.bind(contract=SECOND)
    async with moving.native(moving.go(), contract=SECOND):
        assert await moving.deliver("order-1") == {"order-1": "go"}


async def test_a_process_that_does_not_list_the_group_with_all_its_types_leaves_it_here(moving: Moving) -> None:
    other = ledger.bookkeeper(moving.db.books, "books.other")
    for server in (None, EventSinkServer(LocalSink([])), EventSinkServer(LocalSink([other]))):
        moving.bind()
        async with moving.native(server):
            assert await moving.deliver("order-1") == {"order-1": "python"}

    async def nothing(event: Int64Value, meta: EventMeta, work: Any) -> None:
        raise AssertionError

    moving.subscription.on(Int64Value, nothing)
    moving.bind()
    async with moving.native(moving.go()):
        assert await moving.deliver("order-1") == {"order-1": "python"}
    assert (moving.fallbacks, moving.stats.snapshot()) == ({}, [])


async def test_what_a_process_that_is_gone_would_have_got_is_handled_here_until_it_is_back(
    moving: Moving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moved, "_REST_SECONDS", 0.0)
    moving.bind()
    async with moving.native(moving.go()):
        there = await moving.deliver("order-1")
    gone = await moving.deliver("order-1")
    again = await moving.deliver("order-1")
    async with moving.native(moving.go()):
        back = await moving.deliver("order-1")

    assert [*there.values(), *gone.values(), *again.values(), *back.values()] == ["go", "python", "python", "go"]
    assert moving.fallbacks == {"unreachable": 2}


async def test_while_a_process_rests_it_is_not_asked(moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moved, "_REST_SECONDS", 3600.0)
    moving.bind()
    async with moving.native(moving.go()):
        await moving.deliver("order-1")
    await moving.deliver("order-1")
    async with moving.native(moving.go()):
        resting = await moving.deliver("order-1")
        moving.bind()
        bound_anew = await moving.deliver("order-1")

    assert (resting, bound_anew) == ({"order-1": "python"}, {"order-1": "go"})


async def test_a_process_that_never_answered_is_not_missed(moving: Moving) -> None:
    moving.bind()
    moving.endpoints.update(endpoints={FIRST: {"go": ["unix:/nonexistent/socket"]}})

    assert await moving.deliver("order-1") == {"order-1": "python"}
    assert moving.fallbacks == {}


@pytest.mark.parametrize("reason", [PlatformReason.NOT_FOUND, PlatformReason.UNAVAILABLE, PlatformReason.INTERNAL])
async def test_what_a_process_refuses_is_handled_here(moving: Moving, reason: PlatformReason) -> None:
    go = moving.go()

    async def refuse(request: Any, call: Any) -> Any:
        raise Refusal(reason, "not me")

    go.deliver = refuse  # type: ignore[method-assign]
    moving.bind()
    async with moving.native(go):
        assert await moving.deliver("order-1") == {"order-1": "python"}
    assert sum(moving.fallbacks.values()) == 1


async def test_a_process_that_does_not_come_to_an_end_costs_half_of_the_time(moving: Moving) -> None:
    go, left = moving.go(), list[float]()
    deliver = go.deliver

    async def timed(request: Any, call: Any) -> Any:
        left.append(call.remaining())
        return await deliver(request, call)

    go.deliver = timed  # type: ignore[method-assign]
    moving.bind()
    async with moving.native(go):
        with call_scope(timeout=10.0):
            await moving.deliver("order-1")
        with call_scope(timeout=1.0):
            taken = await moving.deliver("order-1", value="never by go")

    assert left[0] <= 5.0
    assert taken == {"order-1": "python"}
    assert moving.fallbacks == {"late": 1}
