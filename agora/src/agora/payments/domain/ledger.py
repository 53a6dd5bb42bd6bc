"""The double-entry ledger: postings, the canonical bytes of a transaction, and the chain that shows any tampering.

Debits are positive, credits negative; the entries of a transaction sum to zero. The transactions form one chain:

    hash = SHA-256(previous_hash || payload)            the first previous_hash is 32 zero bytes
    signature = Ed25519(DOMAIN || previous_hash || payload)

What is linked together is signed together: the last transaction carries the signature, which through previous_hash is
one over all that come before it; theirs are empty. The head's signature covers the whole chain.

The payload of a transaction, integers big-endian, is exactly

    29 bytes  "agora.ledger.transaction.v1" in ASCII and two zero bytes
     8 bytes  sequence, unsigned, from 1
    16 bytes  transaction id        16 bytes  payment id
     1 byte   length of the kind, then the kind in ASCII, then 3 bytes of currency in ASCII
     8 bytes  creation time, microseconds since 1970-01-01T00:00:00Z, signed
     1 byte   number of entries, then for each:
              1 byte length of the account, the account in ASCII, 8 bytes amount, signed, two's complement

The head says how long the chain is and how it ends; it is signed with the last hash as previous_hash. Its payload is

    29 bytes  "agora.ledger.head.v1" in ASCII and nine zero bytes
     8 bytes  number of transactions, unsigned
"""

import hashlib
import struct
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agora.payments.domain.payment import Kind

DOMAIN = b"agora.signing.v1\0"
GENESIS = bytes(32)
_TRANSACTION = b"agora.ledger.transaction.v1".ljust(29, b"\0")
_HEAD = b"agora.ledger.head.v1".ljust(29, b"\0")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ACQUIRER_AUTHORISED = "acquirer:authorised"
ACQUIRER_CLEARING = "acquirer:clearing"
BUYER_HELD = "buyer:held"
MERCHANT_SALES = "merchant:sales"
MERCHANT_REFUNDS = "merchant:refunds"


@dataclass(frozen=True, slots=True)
class Entry:
    account: str
    amount: int


@dataclass(frozen=True, slots=True)
class Transaction:
    transaction_id: str
    kind: str
    payment_id: str
    currency: str
    entries: tuple[Entry, ...]
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """A transaction's place in the chain. `signature` and `key_id` are empty where a later signature covers it."""

    sequence: int
    previous_hash: bytes
    hash: bytes
    signature: bytes
    key_id: str


@dataclass(frozen=True, slots=True)
class Head:
    transactions: int
    hash: bytes
    signature: bytes
    key_id: str


def entries(kind: Kind, amount: int) -> tuple[Entry, ...]:
    """How an operation is booked; nothing for an amount of zero."""
    if amount == 0:
        return ()
    let_go = (Entry(ACQUIRER_AUTHORISED, -amount), Entry(BUYER_HELD, amount))
    match kind:
        case Kind.AUTHORISE:
            return Entry(ACQUIRER_AUTHORISED, amount), Entry(BUYER_HELD, -amount)
        case Kind.VOID:
            return let_go
        case Kind.CAPTURE:
            return *let_go, Entry(ACQUIRER_CLEARING, amount), Entry(MERCHANT_SALES, -amount)
        case Kind.REFUND:
            return Entry(MERCHANT_REFUNDS, amount), Entry(ACQUIRER_CLEARING, -amount)


def transaction_payload(sequence: int, transaction: Transaction) -> bytes:
    """The canonical bytes; see the module's text."""
    microseconds = (transaction.create_time - _EPOCH) // timedelta(microseconds=1)
    parts = [
        _TRANSACTION,
        struct.pack(">Q", sequence),
        uuid.UUID(transaction.transaction_id).bytes,
        uuid.UUID(transaction.payment_id).bytes,
        _short(transaction.kind),
        transaction.currency.encode("ascii"),
        struct.pack(">qB", microseconds, len(transaction.entries)),
    ]
    for entry in transaction.entries:
        parts += _short(entry.account), struct.pack(">q", entry.amount)
    return b"".join(parts)


def head_payload(transactions: int) -> bytes:
    return _HEAD + struct.pack(">Q", transactions)


def chained_hash(previous_hash: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(previous_hash + payload).digest()


def signed_message(previous_hash: bytes, payload: bytes) -> bytes:
    return DOMAIN + previous_hash + payload


def _short(text: str) -> bytes:
    encoded = text.encode("ascii")
    return bytes([len(encoded)]) + encoded


@dataclass(frozen=True, slots=True)
class Walk:
    """How far an audit has come along the chain, and what it has found; it stops at the first finding."""

    transactions: int = 0
    entries: int = 0
    hash: bytes = GENESIS
    sums: Mapping[str, int] = field(default_factory=dict)
    finding: str = ""


def walk(so_far: Walk, part: Iterable[tuple[Transaction, Link]], keys: Mapping[str, bytes]) -> Walk:
    """Follows the chain along its next part, in the order of its sequence. Pure, and costs about 0.15 ms a transaction.

    Args:
        so_far: Where the part before it ended.
        part: Transactions that were signed.
        keys: Raw public keys by id.
    """
    sums = Counter(so_far.sums)
    count, seen, last = so_far.transactions, so_far.entries, so_far.hash
    for transaction, link in part:
        finding = _finding(count + 1, last, transaction, link, keys)
        if finding:
            return Walk(count, seen, last, dict(sums), finding)
        count, last = link.sequence, link.hash
        seen += len(transaction.entries)
        sums[transaction.currency] += sum(entry.amount for entry in transaction.entries)
    return Walk(count, seen, last, dict(sums))


def _finding(  # noqa: PLR0911 - one return for each finding
    sequence: int, last: bytes, transaction: Transaction, link: Link, keys: Mapping[str, bytes]
) -> str:
    name = f"transaction {link.sequence} ({transaction.transaction_id})"
    if link.sequence != sequence:
        return f"transaction {sequence} is missing; the next one is {name}"
    if link.previous_hash != last:
        return f"{name} does not follow the one before it"
    try:
        payload = transaction_payload(sequence, transaction)
    except (ValueError, struct.error):
        return f"{name} is not well formed"
    if chained_hash(last, payload) != link.hash:
        return f"{name} is not what was signed"
    carries = bool(link.key_id or link.signature)
    if carries and not _is_signed(link.key_id, link.signature, signed_message(last, payload), keys):
        return f"{name} is not signed by a key of ours"
    if sum(entry.amount for entry in transaction.entries):
        return f"{name} does not sum to zero"
    return ""


def head_finding(so_far: Walk, head: Head, keys: Mapping[str, bytes]) -> str:
    """What is wrong with where the chain ends; empty when nothing is."""
    if head.transactions != so_far.transactions:
        return f"the head counts {head.transactions} transactions and there are {so_far.transactions}"
    if head.hash != so_far.hash:
        return "the head names another last transaction"
    message = signed_message(head.hash, head_payload(head.transactions))
    if head.transactions and not _is_signed(head.key_id, head.signature, message, keys):
        return "the head is not signed by a key of ours"
    return ""


def _is_signed(key_id: str, signature: bytes, message: bytes, keys: Mapping[str, bytes]) -> bool:
    key = keys.get(key_id)
    if key is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Unsigned:
    """What is not in the chain yet. `oldest` is its age in seconds."""

    transactions: int
    oldest: float

    def finding(self, patience: float) -> str:
        """What stays unsigned for longer than `patience` seconds was slipped in, or the chainer is down."""
        if self.transactions and self.oldest > patience:
            return f"{self.transactions} transactions are unsigned, the oldest for {self.oldest:.0f} s"
        return ""


def unbooked_finding(payment_ids: Sequence[str]) -> str:
    """Payments whose amounts are not those that the ledger books for them."""
    return f"payment {payment_ids[0]} is not what the ledger says" if payment_ids else ""
