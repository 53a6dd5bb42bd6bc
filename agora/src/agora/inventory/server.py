"""Inventory behind its contract."""

from collections.abc import Iterable
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from agora.inventory.domain import Line, Reservation, Stock
from agora.inventory.events import Sweeper
from agora.inventory.repository import InventoryRepository
from agora.inventory.service import InventoryService
from agora.inventory.settings import InventorySettings
from agora_proto.inventory.v1 import inventory_pb2 as pb
from agora_proto.inventory.v1.inventory_tricorn import InventoryServiceBase
from tricorn.contract import timestamp
from tricorn.host import Host
from tricorn.wire import Call


class InventoryServer(InventoryServiceBase):
    def __init__(self, service: InventoryService) -> None:
        self._service = service

    async def batch_get_stock(self, request: pb.BatchGetStockRequest, call: Call) -> pb.BatchGetStockResponse:
        product_ids = [product_id.lower() for product_id in request.product_ids]
        return pb.BatchGetStockResponse(stocks=map(_stock, await self._service.stock_of(product_ids)))

    async def reserve(self, request: pb.ReserveRequest, call: Call) -> pb.Reservation:
        return _reservation(await self._service.reserve(request.key, _lines(request.lines), _timedelta(request.hold)))

    async def confirm(self, request: pb.ConfirmRequest, call: Call) -> pb.Reservation:
        return _reservation(await self._service.confirm(request.reservation_id))

    async def release(self, request: pb.ReleaseRequest, call: Call) -> pb.Reservation:
        return _reservation(await self._service.release(request.reservation_id))

    async def prolong(self, request: pb.ProlongRequest, call: Call) -> pb.Reservation:
        return _reservation(await self._service.prolong(request.reservation_id, _timedelta(request.hold)))

    async def get_reservation(self, request: pb.GetReservationRequest, call: Call) -> pb.Reservation:
        return _reservation(await self._service.reservation(request.reservation_id))

    async def restock(self, request: pb.RestockRequest, call: Call) -> pb.RestockResponse:
        warehouse_id = request.warehouse_id.lower() or None
        stocks = await self._service.restock(request.key, _lines(request.lines), warehouse_id)
        return pb.RestockResponse(stocks=map(_stock, stocks))

    async def list_warehouses(self, request: pb.ListWarehousesRequest, call: Call) -> pb.ListWarehousesResponse:
        return pb.ListWarehousesResponse(
            warehouses=[
                pb.Warehouse(warehouse_id=warehouse.warehouse_id, name=warehouse.name, city=warehouse.city)
                for warehouse in await self._service.warehouses()
            ]
        )


def _lines(lines: Iterable[pb.StockLine]) -> list[Line]:
    return [Line(line.product_id.lower(), line.quantity) for line in lines]


def _timedelta(duration: Duration) -> timedelta:
    return timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1000)


def _stock(stock: Stock) -> pb.Stock:
    return pb.Stock(
        product_id=stock.product_id,
        available=stock.available,
        warehouses=[
            pb.WarehouseStock(warehouse_id=warehouse.warehouse_id, available=warehouse.available)
            for warehouse in stock.warehouses
        ],
    )


def _reservation(reservation: Reservation) -> pb.Reservation:
    return pb.Reservation(
        reservation_id=reservation.reservation_id,
        state=pb.Reservation.State.Value(f"STATE_{reservation.state}"),
        lines=[pb.StockLine(product_id=line.product_id, quantity=line.quantity) for line in reservation.lines],
        expire_time=timestamp(reservation.expire_time),
    )


def register(host: Host) -> None:
    settings = host.settings(InventorySettings)
    host.serve(InventoryServer(InventoryService(InventoryRepository(host.database))))
    sweeper = Sweeper(host.begin(InventoryRepository), settings.sweep_seconds)
    host.background("inventory.expiry", sweeper.run)
