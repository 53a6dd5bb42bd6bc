"""Made by `tricorn gen`. Do not edit."""

import abc
from collections.abc import AsyncIterator

from agora_proto.payments.v1 import payments_pb2
from tricorn.wire.call import Call, Caller


class PaymentsServiceClient:
    SERVICE = "agora.payments.v1.PaymentsService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def authorise(self, request: payments_pb2.AuthoriseRequest, *, deadline: float | None = None) -> payments_pb2.Payment:
        return await self._caller.call("agora.payments.v1.PaymentsService/Authorise", request, deadline)  # type: ignore[return-value]

    async def capture(self, request: payments_pb2.CaptureRequest, *, deadline: float | None = None) -> payments_pb2.Payment:
        return await self._caller.call("agora.payments.v1.PaymentsService/Capture", request, deadline)  # type: ignore[return-value]

    async def void(self, request: payments_pb2.VoidRequest, *, deadline: float | None = None) -> payments_pb2.Payment:
        return await self._caller.call("agora.payments.v1.PaymentsService/Void", request, deadline)  # type: ignore[return-value]

    async def refund(self, request: payments_pb2.RefundRequest, *, deadline: float | None = None) -> payments_pb2.Payment:
        return await self._caller.call("agora.payments.v1.PaymentsService/Refund", request, deadline)  # type: ignore[return-value]

    async def get_payment(self, request: payments_pb2.GetPaymentRequest, *, deadline: float | None = None) -> payments_pb2.Payment:
        return await self._caller.call("agora.payments.v1.PaymentsService/GetPayment", request, deadline)  # type: ignore[return-value]

    async def audit_ledger(self, request: payments_pb2.AuditLedgerRequest, *, deadline: float | None = None) -> payments_pb2.LedgerAudit:
        return await self._caller.call("agora.payments.v1.PaymentsService/AuditLedger", request, deadline)  # type: ignore[return-value]


class PaymentsServiceBase(abc.ABC):
    SERVICE = "agora.payments.v1.PaymentsService"

    @abc.abstractmethod
    async def authorise(self, request: payments_pb2.AuthoriseRequest, call: Call) -> payments_pb2.Payment: ...

    @abc.abstractmethod
    async def capture(self, request: payments_pb2.CaptureRequest, call: Call) -> payments_pb2.Payment: ...

    @abc.abstractmethod
    async def void(self, request: payments_pb2.VoidRequest, call: Call) -> payments_pb2.Payment: ...

    @abc.abstractmethod
    async def refund(self, request: payments_pb2.RefundRequest, call: Call) -> payments_pb2.Payment: ...

    @abc.abstractmethod
    async def get_payment(self, request: payments_pb2.GetPaymentRequest, call: Call) -> payments_pb2.Payment: ...

    @abc.abstractmethod
    async def audit_ledger(self, request: payments_pb2.AuditLedgerRequest, call: Call) -> payments_pb2.LedgerAudit: ...


class SigningServiceClient:
    SERVICE = "agora.payments.v1.SigningService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def sign_transaction(self, request: payments_pb2.SignTransactionRequest, *, deadline: float | None = None) -> payments_pb2.SignTransactionResponse:
        return await self._caller.call("agora.payments.v1.SigningService/SignTransaction", request, deadline)  # type: ignore[return-value]

    async def list_signing_keys(self, request: payments_pb2.ListSigningKeysRequest, *, deadline: float | None = None) -> payments_pb2.ListSigningKeysResponse:
        return await self._caller.call("agora.payments.v1.SigningService/ListSigningKeys", request, deadline)  # type: ignore[return-value]


class SigningServiceBase(abc.ABC):
    SERVICE = "agora.payments.v1.SigningService"

    @abc.abstractmethod
    async def sign_transaction(self, request: payments_pb2.SignTransactionRequest, call: Call) -> payments_pb2.SignTransactionResponse: ...

    @abc.abstractmethod
    async def list_signing_keys(self, request: payments_pb2.ListSigningKeysRequest, call: Call) -> payments_pb2.ListSigningKeysResponse: ...
