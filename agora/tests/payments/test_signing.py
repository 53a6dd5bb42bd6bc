import hashlib
import stat
import uuid
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from till import Till

from agora.payments.commands import audit_of
from agora.payments.domain.ledger import Entry, Transaction, Walk, entries, head_payload, transaction_payload, walk
from agora.payments.domain.payment import Kind
from agora.payments.ledger import Auditor, Chainer
from agora.payments.signing import KeyRing, keys_folder
from agora_proto.payments.v1 import payments_pb2 as pb
from agora_proto.payments.v1.payments_tricorn import SigningServiceClient
from tricorn.data import Database
from tricorn.host.testing import TestApp


def test_the_payload_is_these_bytes() -> None:
    transaction = Transaction(
        str(uuid.UUID(int=1)),
        "VOID",
        str(uuid.UUID(int=2)),
        "USD",
        (Entry("buyer:held", 258), Entry("acquirer:authorised", -258)),
        datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC),
    )
    # Written out by hand from the description in the module's text.
    assert transaction_payload(3, transaction) == (
        b"agora.ledger.transaction.v1\0\0"
        b"\0\0\0\0\0\0\0\x03"
        + b"\0" * 15
        + b"\x01"
        + b"\0" * 15
        + b"\x02"
        + b"\x04VOIDUSD"
        + b"\0\0\0\0\0\x0f\x42\x45"
        + b"\x02"
        + b"\x0abuyer:held"
        + b"\0\0\0\0\0\0\x01\x02"
        + b"\x13acquirer:authorised"
        + b"\xff\xff\xff\xff\xff\xff\xfe\xfe"
    )
    assert head_payload(258) == b"agora.ledger.head.v1" + b"\0" * 9 + b"\0\0\0\0\0\0\x01\x02"


@given(kind=st.sampled_from(Kind), amount=st.integers(min_value=0, max_value=10**12))
def test_every_booking_sums_to_zero(kind: Kind, amount: int) -> None:
    assert sum(entry.amount for entry in entries(kind, amount)) == 0


@given(amount=st.integers(min_value=1, max_value=10**12))
def test_what_is_held_is_let_go_of_by_a_void_and_by_a_capture(amount: int) -> None:
    for end in (Kind.VOID, Kind.CAPTURE):
        balance: dict[str, int] = {}
        for entry in (*entries(Kind.AUTHORISE, amount), *entries(end, amount)):
            balance[entry.account] = balance.get(entry.account, 0) + entry.amount
        assert balance["buyer:held"] == balance["acquirer:authorised"] == 0


def test_a_walk_over_nothing_finds_nothing() -> None:
    assert walk(Walk(), [], {}) == Walk()


async def test_a_signature_is_ed25519_over_domain_previous_hash_and_payload(app: TestApp) -> None:
    client = app.client(SigningServiceClient)
    previous, payload = hashlib.sha256(b"before").digest(), b"a transaction"
    signed = await client.sign_transaction(pb.SignTransactionRequest(payload=payload, previous_hash=previous))
    [key] = (await client.list_signing_keys(pb.ListSigningKeysRequest())).keys
    assert signed.hash == hashlib.sha256(previous + payload).digest()
    assert signed.key_id == key.key_id == hashlib.sha256(key.public_key).hexdigest()[:16]
    message = b"agora.signing.v1\0" + previous + payload
    Ed25519PublicKey.from_public_bytes(key.public_key).verify(signed.signature, message)


def test_the_secret_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "signing")
    secret = tmp_path / "signing" / f"{ring.active().key_id}.key"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700


def test_processes_share_a_key_and_see_its_rotation(tmp_path: Path) -> None:
    one, other = KeyRing(tmp_path), KeyRing(tmp_path)
    first = one.active()
    assert other.active().key_id == first.key_id
    second = other.rotate()
    assert one.active().key_id == second.key_id != first.key_id
    assert one.public_keys() == {first.key_id: first.public, second.key_id: second.public}
    assert [path.stem for path in tmp_path.glob("*.key")] == [second.key_id]


async def test_what_an_old_key_signed_stays_intact_after_a_rotation(
    app: TestApp, till: Till, chainer: Chainer, auditor: Auditor
) -> None:
    await till.capture(await till.authorise(1000))
    await chainer.chain()
    await till.capture(await till.authorise(1000))
    KeyRing(keys_folder(app.host("payments").state_dir)).rotate()
    await chainer.chain()
    audit = await auditor.audit()
    assert (audit.transactions, audit.finding) == (4, "")
    keys = (await app.client(SigningServiceClient).list_signing_keys(pb.ListSigningKeysRequest())).keys
    assert sorted(key.active for key in keys) == [False, True]


async def test_the_command_s_audit_reads_the_same_books(
    app: TestApp, till: Till, chainer: Chainer, database: Database
) -> None:
    await till.capture(await till.authorise(1000))
    await chainer.chain()
    seen = await audit_of(Database(database.url, size=2), KeyRing(keys_folder(app.host("payments").state_dir)))
    assert (seen.transactions, seen.finding) == (2, "")
    strange = await audit_of(Database(database.url, size=2), KeyRing(app.host("payments").state_dir / "other"))
    assert "transaction 2" in strange.finding
