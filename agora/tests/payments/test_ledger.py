"""Each way to tamper with the ledger is found. Whoever tampers is the administrator: no constraint is in their way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from till import Till

from agora.payments.domain.ledger import GENESIS, chained_hash, signed_message, transaction_payload
from agora.payments.ledger import Auditor, Chainer
from agora.payments.repository import LedgerRepository
from agora_proto.payments.v1 import payments_pb2 as pb
from agora_proto.payments.v1.payments_tricorn import PaymentsServiceClient, SigningServiceClient
from tricorn.data import Database, uuid7
from tricorn.events import Work
from tricorn.host.testing import TestApp


@pytest.fixture
async def admin(app: TestApp) -> Database:
    """An administrator who took the ledger's constraints away."""
    await app.admin.execute("ALTER TABLE payments.ledger_transaction DROP CONSTRAINT entries_sum_to_zero")
    return app.admin


@pytest.fixture
async def ledger(till: Till, chainer: Chainer) -> None:
    """Six signed transactions of three payments, in three batches."""
    for _ in range(3):
        await till.capture(await till.authorise(1000))
        await chainer.chain()


async def test_an_untouched_ledger_is_intact(till: Till, chainer: Chainer, auditor: Auditor) -> None:
    assert (await auditor.audit()).finding == ""
    await till.capture(await till.authorise(1000))
    await till.void(await till.authorise(500))
    assert await chainer.chain() == 4
    assert await chainer.chain() == 0
    await till.authorise(700)
    audit = await auditor.audit()
    assert (audit.transactions, audit.entries, audit.unsigned) == (4, 10, 1)
    assert (audit.sums, audit.finding) == ({"USD": 0}, "")


_TAMPERING = {
    "an amount changed": (
        "UPDATE payments.ledger_transaction SET amounts = ARRAY[2000, -2000] WHERE sequence = 3",
        "transaction 3",
    ),
    "an account changed": (
        "UPDATE payments.ledger_transaction SET accounts[2] = 'merchant:sales' WHERE sequence = 3",
        "transaction 3",
    ),
    "a time changed": (
        "UPDATE payments.ledger_transaction SET create_time = create_time - interval '1 us' WHERE sequence = 2",
        "transaction 2",
    ),
    "one in the middle deleted": (
        "DELETE FROM payments.ledger_transaction WHERE sequence = 4",
        "transaction 4 is missing",
    ),
    "one in the middle deleted and the gap closed": (
        """WITH gone AS (DELETE FROM payments.ledger_transaction WHERE sequence = 6 RETURNING *)
        UPDATE payments.ledger_transaction AS t SET transaction_id = gone.transaction_id, hash = gone.hash
        FROM gone WHERE t.sequence = 5""",
        "transaction 5",
    ),
    "the last deleted": ("DELETE FROM payments.ledger_transaction WHERE sequence = 6", "the head counts 6"),
    "the last deleted and the head set back": (
        """WITH gone AS (DELETE FROM payments.ledger_transaction WHERE sequence = 6)
        UPDATE payments.ledger_head SET transactions = 5,
            hash = (SELECT hash FROM payments.ledger_transaction WHERE sequence = 5)""",
        "the head is not signed",
    ),
    "the head deleted": ("DELETE FROM payments.ledger_head", "the head"),
    "the head names another end": ("UPDATE payments.ledger_head SET hash = sha256(hash)", "the head"),
    "two swapped": (
        """UPDATE payments.ledger_transaction AS t SET accounts = o.accounts, amounts = o.amounts, kind = o.kind
        FROM payments.ledger_transaction AS o WHERE (t.sequence, o.sequence) IN ((2, 3), (3, 2))""",
        "transaction 2",
    ),
    "everything deleted and the head with it": (
        """WITH gone AS (DELETE FROM payments.ledger_transaction)
        UPDATE payments.ledger_head SET transactions = 0, hash = decode(repeat('00', 32), 'hex')""",
        "payment",
    ),
    "a payment said to be smaller": (
        "UPDATE payments.payment SET captured = 1 WHERE payment_id = (SELECT payment_id FROM payments.payment LIMIT 1)",
        "payment",
    ),
}


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("deed", _TAMPERING)
async def test_tampering_is_found(admin: Database, auditor: Auditor, deed: str) -> None:
    sql, finding = _TAMPERING[deed]
    assert (await auditor.audit()).finding == ""
    await admin.execute(sql)
    assert finding in (await auditor.audit()).finding


@pytest.mark.usefixtures("ledger")
async def test_a_transaction_signed_by_another_key_is_found(
    admin: Database, database: Database, auditor: Auditor
) -> None:
    [*_, (transaction, link)] = await LedgerRepository(database).signed(0, 4)
    stranger = Ed25519PrivateKey.generate()
    payload = transaction_payload(link.sequence, transaction)
    signature = stranger.sign(signed_message(link.previous_hash, payload))
    for key_id in (link.key_id, "0123456789abcdef"):
        await admin.execute(
            "UPDATE payments.ledger_transaction SET signature = $1, key_id = $2 WHERE sequence = 4", signature, key_id
        )
        assert "transaction 4" in (await auditor.audit()).finding
        assert "not signed by a key of ours" in (await auditor.audit()).finding


@pytest.mark.usefixtures("ledger")
async def test_one_signature_is_made_for_what_is_linked_together(database: Database) -> None:
    chain = await LedgerRepository(database).signed(0, 100)
    assert [bool(link.signature) for _, link in chain] == [False, True] * 3


_PUT_IN = {
    "with a signature from elsewhere": ("signature, key_id", "transaction 3"),
    "as if a later one covered it": ("''::bytea, ''", "transaction 5"),
}


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("how", _PUT_IN)
async def test_a_transaction_put_in_with_a_right_hash_is_found(
    admin: Database, database: Database, auditor: Auditor, how: str
) -> None:
    """Everything is recomputed but the signatures, which nobody can make without the key."""
    signature, finding = _PUT_IN[how]
    await admin.execute("UPDATE payments.ledger_transaction SET sequence = sequence + 100 WHERE sequence > 2")
    await admin.execute("UPDATE payments.ledger_transaction SET sequence = sequence - 99 WHERE sequence > 100")
    await admin.execute(
        f"""INSERT INTO payments.ledger_transaction (transaction_id, kind, payment_id, currency, accounts, amounts,
            create_time, sequence, previous_hash, hash, signature, key_id)
        SELECT $1, kind, payment_id, currency, accounts, amounts, create_time, 3, hash, $2, {signature}
        FROM payments.ledger_transaction WHERE sequence = 2""",
        uuid7(),
        bytes(32),
    )
    await _hash_anew(admin, database)
    assert finding in (await auditor.audit()).finding
    assert "not signed" in (await auditor.audit()).finding


@pytest.mark.usefixtures("ledger")
async def test_a_chain_without_its_signatures_is_found_by_its_head(
    admin: Database, database: Database, auditor: Auditor
) -> None:
    """Each kind is changed, all is hashed anew, and every signature that would tell is taken away."""
    await admin.execute("UPDATE payments.ledger_transaction SET signature = '', key_id = '', kind = 'VOID'")
    last = await _hash_anew(admin, database)
    await admin.execute("UPDATE payments.ledger_head SET hash = $1", last)
    assert (await auditor.audit()).finding == "the head is not signed by a key of ours"


async def _hash_anew(admin: Database, database: Database) -> bytes:
    """Makes a chain of what is there, as anybody could; its last hash."""
    last = GENESIS
    for transaction, link in await LedgerRepository(database).signed(0, 100):
        digest = chained_hash(last, transaction_payload(link.sequence, transaction))
        await admin.execute(
            "UPDATE payments.ledger_transaction SET previous_hash = $1, hash = $2 WHERE sequence = $3",
            last,
            digest,
            link.sequence,
        )
        last = digest
    return last


@pytest.mark.usefixtures("ledger")
async def test_an_unsigned_transaction_is_a_finding_only_when_it_stays_so(
    till: Till, admin: Database, chainer: Chainer, auditor: Auditor
) -> None:
    await till.authorise(1)
    assert (await auditor.audit()).finding == ""
    await admin.execute(
        "UPDATE payments.ledger_transaction SET create_time = now() - interval '2 minutes' WHERE sequence IS NULL"
    )
    assert "1 transactions are unsigned" in (await auditor.audit()).finding
    await chainer.chain()
    assert (await auditor.audit()).finding == ""


@pytest.mark.usefixtures("ledger")
async def test_an_unbalanced_transaction_shows_in_the_sums(admin: Database, auditor: Auditor) -> None:
    await admin.execute(
        """INSERT INTO payments.ledger_transaction (transaction_id, kind, payment_id, currency, accounts, amounts)
        SELECT $1, kind, payment_id, currency, accounts, ARRAY[5, -4] FROM payments.ledger_transaction
        WHERE sequence = 1""",
        uuid7(),
    )
    audit = await auditor.audit()
    assert (audit.sums, audit.unsigned) == ({"USD": 1}, 1)
    assert audit.finding.startswith("payment")


async def test_chainers_at_once_make_one_chain(till: Till, chainer: Chainer, auditor: Auditor) -> None:
    for _ in range(6):
        await asyncio.gather(*(till.authorise(100) for _ in range(5)), chainer.chain(), chainer.chain())
    await chainer.chain()
    audit = await auditor.audit()
    assert (audit.transactions, audit.unsigned, audit.finding) == (30, 0, "")


async def test_the_contract_reports_what_the_audit_saw(app: TestApp, till: Till, chainer: Chainer) -> None:
    await till.capture(await till.authorise(1000))
    await chainer.chain()
    audit = await app.client(PaymentsServiceClient).audit_ledger(pb.AuditLedgerRequest())
    assert (audit.transactions, audit.entries, audit.unsigned, audit.intact) == (2, 6, 0, True)
    assert [(money.currency, money.minor_units) for money in audit.sums] == [("USD", 0)]


async def test_the_chainer_signs_what_it_is_woken_for_and_the_rest_when_it_stops(
    app: TestApp, till: Till, auditor: Auditor
) -> None:
    stop, looked = asyncio.Event(), asyncio.Event()
    begin = app.host("payments").begin(LedgerRepository)

    @asynccontextmanager
    async def begin_and_tell() -> AsyncIterator[Work[LedgerRepository]]:
        async with begin() as work:
            yield work
        looked.set()

    chainer = Chainer(begin_and_tell, app.client(SigningServiceClient), gather=0, idle=3600)
    running = asyncio.create_task(chainer.run(stop))
    await looked.wait()
    await till.authorise(100)
    looked.clear()
    chainer.wake()
    while (await auditor.audit()).unsigned:
        await looked.wait()
    await till.authorise(100)
    stop.set()
    await running
    assert (await auditor.audit()).transactions == 2
