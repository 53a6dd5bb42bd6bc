"""The ledger's use cases: linking and signing what was booked, and auditing all of it.

A booking commits unsigned, and is linked into the chain in the order in which bookings are seen to have committed, a
batch at a time with one signature for all of it. So no payment waits for another's signature, and the end of the chain is no lock that all payments
queue for. The price is a tail that is unsigned for about a second: an audit counts it apart, and an old one is a
finding.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from agora.payments.domain.ledger import (
    Head,
    Link,
    Transaction,
    Unsigned,
    Walk,
    chained_hash,
    head_finding,
    head_payload,
    transaction_payload,
    unbooked_finding,
    walk,
)
from agora_proto.payments.v1 import payments_pb2 as pb
from agora_proto.payments.v1.payments_tricorn import SigningServiceClient
from tricorn.failpoints import failpoint

_BATCH = 200
_AUDIT_BATCH = 1000
_PATIENCE = 60.0
_NO_HEAD = "the head of the chain is missing"


class Chained(Protocol):
    async def lock_head(self) -> Head | None: ...
    async def unsigned(self, limit: int) -> list[Transaction]: ...
    async def chain(self, links: list[tuple[Transaction, Link]], head: Head) -> None: ...


class Audited(Protocol):
    async def head(self) -> Head | None: ...
    async def signed(self, after: int, limit: int) -> list[tuple[Transaction, Link]]: ...
    async def unsigned_count(self) -> Unsigned: ...
    async def unsigned_sums(self) -> dict[str, int]: ...
    async def unbooked(self) -> list[str]: ...


class Work(Protocol):
    @property
    def repository(self) -> Chained: ...


class Chainer:
    """Links and signs. Any number of processes may run one: the head's row lock lets one work at a time.

    Args:
        begin: Opens a unit of work.
        signer: Signs; where it is does not matter.
        gather: Seconds between being woken and signing, in which more comes together.
        idle: Seconds after which it looks without being woken, for what other processes booked.
    """

    def __init__(
        self,
        begin: Callable[[], AbstractAsyncContextManager[Work]],
        signer: SigningServiceClient,
        *,
        gather: float,
        idle: float,
    ) -> None:
        self._begin = begin
        self._signer = signer
        self._gather = gather
        self._idle = idle
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def chain(self) -> int:
        """One batch; how many transactions it linked."""
        async with self._begin() as work:
            head = await work.repository.lock_head()
            if head is None:
                return 0
            transactions = await work.repository.unsigned(_BATCH)
            if not transactions:
                return 0
            *before, end = transactions
            links = []
            count, last = head.transactions, head.hash
            for count, transaction in enumerate(before, head.transactions + 1):
                link = Link(count, last, chained_hash(last, transaction_payload(count, transaction)), b"", "")
                links.append((transaction, link))
                last = link.hash
            count += 1
            signed = await self._sign(transaction_payload(count, end), last)
            links.append((end, Link(count, last, signed.hash, signed.signature, signed.key_id)))
            last = signed.hash
            sealed = await self._sign(head_payload(count), last)
            await failpoint("payments.chain.signed")
            await work.repository.chain(links, Head(count, last, sealed.signature, sealed.key_id))
        return len(links)

    async def _sign(self, payload: bytes, previous_hash: bytes) -> pb.SignTransactionResponse:
        request = pb.SignTransactionRequest(payload=payload, previous_hash=previous_hash)
        return await self._signer.sign_transaction(request)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, and then what is left once more."""
        while not stop.is_set():
            self._woken.clear()
            if await self.chain() == _BATCH:
                continue
            await _first(stop, self._woken, self._idle)
            await _first(stop, stop, self._gather)
        await self.chain()


async def _first(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    """Until one of two events, at most so long."""
    waiting = {asyncio.ensure_future(event.wait()) for event in {one, other}}
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit saw. The sums include what is unsigned; the counts do not."""

    transactions: int
    entries: int
    unsigned: int
    sums: dict[str, int]
    finding: str


class Auditor:
    """Walks the whole ledger: chain, signatures, head, sums, and whether the payments say what it says.

    What it cannot see is a ledger and its head put back together to an earlier state with the payments that go with it:
    against that, keep a head somewhere else.

    Args:
        snapshot: Opens a transaction that sees one state of the database.
        public_keys: Raw public keys by id.
        compute: Runs a function where it stalls no one.
    """

    def __init__(
        self,
        snapshot: Callable[[], AbstractAsyncContextManager[Audited]],
        public_keys: Callable[[], Awaitable[dict[str, bytes]]],
        compute: Callable[..., Awaitable[Walk]],
    ) -> None:
        self._snapshot = snapshot
        self._public_keys = public_keys
        self._compute = compute

    async def audit(self) -> Audit:
        """An intact ledger has an empty finding; else it names the first thing that is wrong."""
        async with self._snapshot() as ledger:
            # Read after the snapshot is fixed: no key that it needs can be younger.
            head = await ledger.head()
            keys = await self._public_keys()
            so_far = Walk()
            while not so_far.finding:
                part = await ledger.signed(so_far.transactions, _AUDIT_BATCH)
                if not part:
                    break
                so_far = await self._compute(walk, so_far, part, keys)
            unsigned = await ledger.unsigned_count()
            sums = dict(so_far.sums)
            for currency, amount in (await ledger.unsigned_sums()).items():
                sums[currency] = sums.get(currency, 0) + amount
            finding = (
                so_far.finding
                or (head_finding(so_far, head, keys) if head else _NO_HEAD)
                or unsigned.finding(_PATIENCE)
                or unbooked_finding(await ledger.unbooked())
            )
        return Audit(so_far.transactions, so_far.entries, unsigned.transactions, sums, finding)


async def known_keys(signer: SigningServiceClient) -> dict[str, bytes]:
    response = await signer.list_signing_keys(pb.ListSigningKeysRequest())
    return {key.key_id: key.public_key for key in response.keys}
