"""Made by `tricorn gen`. Do not edit."""

import abc
from collections.abc import AsyncIterator

from agora_proto.inventory.v1 import inventory_pb2
from tricorn.wire.call import Call, Caller


class InventoryServiceClient:
    SERVICE = "agora.inventory.v1.InventoryService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def batch_get_stock(self, request: inventory_pb2.BatchGetStockRequest, *, deadline: float | None = None) -> inventory_pb2.BatchGetStockResponse:
        return await self._caller.call("agora.inventory.v1.InventoryService/BatchGetStock", request, deadline)  # type: ignore[return-value]

    async def reserve(self, request: inventory_pb2.ReserveRequest, *, deadline: float | None = None) -> inventory_pb2.Reservation:
        return await self._caller.call("agora.inventory.v1.InventoryService/Reserve", request, deadline)  # type: ignore[return-value]

    async def confirm(self, request: inventory_pb2.ConfirmRequest, *, deadline: float | None = None) -> inventory_pb2.Reservation:
        return await self._caller.call("agora.inventory.v1.InventoryService/Confirm", request, deadline)  # type: ignore[return-value]

    async def release(self, request: inventory_pb2.ReleaseRequest, *, deadline: float | None = None) -> inventory_pb2.Reservation:
        return await self._caller.call("agora.inventory.v1.InventoryService/Release", request, deadline)  # type: ignore[return-value]

    async def prolong(self, request: inventory_pb2.ProlongRequest, *, deadline: float | None = None) -> inventory_pb2.Reservation:
        return await self._caller.call("agora.inventory.v1.InventoryService/Prolong", request, deadline)  # type: ignore[return-value]

    async def get_reservation(self, request: inventory_pb2.GetReservationRequest, *, deadline: float | None = None) -> inventory_pb2.Reservation:
        return await self._caller.call("agora.inventory.v1.InventoryService/GetReservation", request, deadline)  # type: ignore[return-value]

    async def restock(self, request: inventory_pb2.RestockRequest, *, deadline: float | None = None) -> inventory_pb2.RestockResponse:
        return await self._caller.call("agora.inventory.v1.InventoryService/Restock", request, deadline)  # type: ignore[return-value]

    async def list_warehouses(self, request: inventory_pb2.ListWarehousesRequest, *, deadline: float | None = None) -> inventory_pb2.ListWarehousesResponse:
        return await self._caller.call("agora.inventory.v1.InventoryService/ListWarehouses", request, deadline)  # type: ignore[return-value]


class InventoryServiceBase(abc.ABC):
    SERVICE = "agora.inventory.v1.InventoryService"

    @abc.abstractmethod
    async def batch_get_stock(self, request: inventory_pb2.BatchGetStockRequest, call: Call) -> inventory_pb2.BatchGetStockResponse: ...

    @abc.abstractmethod
    async def reserve(self, request: inventory_pb2.ReserveRequest, call: Call) -> inventory_pb2.Reservation: ...

    @abc.abstractmethod
    async def confirm(self, request: inventory_pb2.ConfirmRequest, call: Call) -> inventory_pb2.Reservation: ...

    @abc.abstractmethod
    async def release(self, request: inventory_pb2.ReleaseRequest, call: Call) -> inventory_pb2.Reservation: ...

    @abc.abstractmethod
    async def prolong(self, request: inventory_pb2.ProlongRequest, call: Call) -> inventory_pb2.Reservation: ...

    @abc.abstractmethod
    async def get_reservation(self, request: inventory_pb2.GetReservationRequest, call: Call) -> inventory_pb2.Reservation: ...

    @abc.abstractmethod
    async def restock(self, request: inventory_pb2.RestockRequest, call: Call) -> inventory_pb2.RestockResponse: ...

    @abc.abstractmethod
    async def list_warehouses(self, request: inventory_pb2.ListWarehousesRequest, call: Call) -> inventory_pb2.ListWarehousesResponse: ...
