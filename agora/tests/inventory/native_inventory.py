"""Speaks to an inventory behind a socket in the words of its domain, without the wire's own safeguards."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from google.protobuf.message import Message

from agora.inventory.domain import Line
from agora_proto.inventory.v1 import inventory_pb2 as pb
from agora_proto.inventory.v1.inventory_tricorn import InventoryServiceClient
from tricorn.contract import method_policy
from tricorn.wire import call_scope
from tricorn.wire.remote import RemoteChannel

SECONDS = 30.0
"""How long a call may take before the test gives up."""


class _Caller:
    def __init__(self, channel: RemoteChannel) -> None:
        self._channel = channel

    async def call(self, path: str, request: Message, deadline: float | None = None) -> Any:
        with call_scope(timeout=deadline or SECONDS) as call:
            return await self._channel.unary(method_policy(path), request, call)


class NativeInventory:
    def __init__(self, channel: RemoteChannel) -> None:
        self.client = InventoryServiceClient(_Caller(channel))  # type: ignore[arg-type]

    async def reserve(
        self, key: str, lines: Sequence[Line], hold: timedelta, deadline: float | None = None
    ) -> pb.Reservation:
        request = pb.ReserveRequest(
            key=key, lines=[pb.StockLine(product_id=line.product_id, quantity=line.quantity) for line in lines]
        )
        request.hold.FromTimedelta(hold)
        return await self.client.reserve(request, deadline=deadline)

    async def confirm(self, reservation_id: str) -> pb.Reservation:
        return await self.client.confirm(pb.ConfirmRequest(reservation_id=reservation_id))

    async def release(self, reservation_id: str) -> pb.Reservation:
        return await self.client.release(pb.ReleaseRequest(reservation_id=reservation_id))


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[NativeInventory]:
    channel = RemoteChannel(address)
    try:
        yield NativeInventory(channel)
    finally:
        await channel.close()
