"""Payments on a database of the test's own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from agora.payments.acquirer import SandboxAcquirer
from agora.payments.ledger import Auditor, Chainer, known_keys
from agora.payments.repository import LedgerRepository, PaymentsRepository
from agora.payments.server import snapshot
from agora.payments.service import PaymentsService
from agora_proto.payments.v1.payments_tricorn import SigningServiceClient
from tricorn.data import Database, EmbeddedPostgres
from tricorn.host.testing import TestApp, running

sys.path.insert(0, str(Path(__file__).parent))

from till import Till

APPLICATION = Path(__file__).parents[2] / "tricorn.toml"


@pytest.fixture
async def app(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TestApp]:
    monkeypatch.setenv("AGORA_PAYMENTS_SLOW_SECONDS", "0.05")
    async with running(postgres, APPLICATION, ["payments"]) as app:
        await _leave_signing_to_the_test(app)
        yield app


async def _leave_signing_to_the_test(app: TestApp) -> None:
    """Ends the contexts' own chainer: while it has the chain's head, nobody else signs."""
    (chainer,) = (task for task in asyncio.all_tasks() if task.get_name() == "payments.chain")
    chainer.cancel()
    await asyncio.wait([chainer])
    await app.admin.execute("SELECT FROM payments.ledger_head FOR UPDATE")  # waits until what it held is free


@pytest.fixture
def database(app: TestApp) -> Database:
    return app.database("payments")


@pytest.fixture
def service(database: Database) -> PaymentsService:
    return PaymentsService(PaymentsRepository(database), SandboxAcquirer(database, 0), lambda: None)


@pytest.fixture
def till(service: PaymentsService) -> Till:
    return Till(service)


@pytest.fixture
def chainer(app: TestApp) -> Chainer:
    begin = app.host("payments").begin(LedgerRepository)
    return Chainer(begin, app.client(SigningServiceClient), gather=0, idle=3600)


@pytest.fixture
def auditor(app: TestApp, database: Database) -> Auditor:
    return Auditor(
        partial(snapshot, database), partial(known_keys, app.client(SigningServiceClient)), app.host("payments").cpu
    )


@pytest.fixture
async def balanced(database: Database) -> AsyncIterator[None]:
    """Afterwards the ledger sums to zero, and the payments, the ledger and the acquirer say the same."""
    yield
    assert await database.fetchval("SELECT coalesce(sum(amount), 0) FROM ledger_entry") == 0
    assert await LedgerRepository(database).unbooked() == []
    assert (
        await database.fetch("""
            SELECT payment_id FROM payment JOIN acquirer_authorisation AS at_acquirer
                ON acquirer_reference = at_acquirer.reference
            WHERE payment.refunded <> at_acquirer.refunded
                OR (payment.state IN ('CAPTURED', 'REFUNDED')) <> (at_acquirer.state = 'CAPTURED')""")
        == []
    )
