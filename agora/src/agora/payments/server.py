"""Payments behind its contract. The signer's server is in `signing.py`: it may move elsewhere by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from agora.payments.acquirer import SandboxAcquirer
from agora.payments.domain.payment import Money, Payment
from agora.payments.ledger import Auditor, Chainer, known_keys
from agora.payments.repository import LedgerRepository, PaymentsRepository
from agora.payments.service import PaymentsService
from agora.payments.settings import PaymentsSettings
from agora.payments.signing import KeyRing, SigningServer, keys_folder
from agora_proto.payments.v1 import payments_pb2 as pb
from agora_proto.payments.v1.payments_tricorn import PaymentsServiceBase, SigningServiceClient
from agora_proto.v1 import money_pb2
from tricorn.contract import timestamp
from tricorn.data import Database
from tricorn.host import Host
from tricorn.wire import Call


class PaymentsServer(PaymentsServiceBase):
    def __init__(self, service: PaymentsService, auditor: Auditor) -> None:
        self._service = service
        self._auditor = auditor

    async def authorise(self, request: pb.AuthoriseRequest, call: Call) -> pb.Payment:
        payment = await self._service.authorise(
            request.key, _money(request.amount), request.method, request.reference, request.user_id.lower()
        )
        return _message(payment)

    async def capture(self, request: pb.CaptureRequest, call: Call) -> pb.Payment:
        return _message(await self._service.capture(request.key, request.payment_id.lower()))

    async def void(self, request: pb.VoidRequest, call: Call) -> pb.Payment:
        return _message(await self._service.void(request.key, request.payment_id.lower()))

    async def refund(self, request: pb.RefundRequest, call: Call) -> pb.Payment:
        amount = _money(request.amount) if request.HasField("amount") else None
        return _message(await self._service.refund(request.key, request.payment_id.lower(), amount))

    async def get_payment(self, request: pb.GetPaymentRequest, call: Call) -> pb.Payment:
        if request.WhichOneof("by") == "authorisation_key":
            return _message(await self._service.payment_by_key(request.authorisation_key))
        return _message(await self._service.payment(request.payment_id.lower()))

    async def audit_ledger(self, request: pb.AuditLedgerRequest, call: Call) -> pb.LedgerAudit:
        audit = await self._auditor.audit()
        return pb.LedgerAudit(
            transactions=audit.transactions,
            entries=audit.entries,
            unsigned=audit.unsigned,
            sums=[_amount(currency, amount) for currency, amount in sorted(audit.sums.items())],
            intact=not audit.finding,
            finding=audit.finding,
        )


def _money(money: money_pb2.Money) -> Money:
    return Money(money.currency, money.minor_units)


def _amount(currency: str, minor_units: int) -> money_pb2.Money:
    return money_pb2.Money(currency=currency, minor_units=minor_units)


def _message(payment: Payment) -> pb.Payment:
    return pb.Payment(
        payment_id=payment.payment_id,
        state=pb.Payment.State.Value(f"STATE_{payment.state}"),
        amount=_amount(payment.currency, payment.amount),
        captured=_amount(payment.currency, payment.captured),
        refunded=_amount(payment.currency, payment.refunded),
        method=payment.method,
        reference=payment.reference,
        create_time=timestamp(payment.create_time),
        update_time=timestamp(payment.update_time),
    )


def register(host: Host) -> None:
    settings = host.settings(PaymentsSettings)
    host.serve(SigningServer(KeyRing(keys_folder(host.state_dir))))
    signer = host.client(SigningServiceClient)
    chainer = Chainer(
        host.begin(LedgerRepository), signer, gather=settings.sign_after_seconds, idle=settings.sign_idle_seconds
    )
    acquirer = SandboxAcquirer(host.database, settings.slow_seconds)
    service = PaymentsService(PaymentsRepository(host.database), acquirer, chainer.wake)
    auditor = Auditor(partial(snapshot, host.database), partial(known_keys, signer), host.cpu)
    host.serve(PaymentsServer(service, auditor))
    host.background("payments.chain", chainer.run)


@asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[LedgerRepository]:
    """The ledger as it is at one moment."""
    async with database.transaction(isolation="repeatable read") as connection:
        yield LedgerRepository(connection)
