"""Pricing's two contracts, and how they are wired."""

from agora.pricing.events import on_order_cancelled, on_orders_placed
from agora.pricing.repository import Demands, PromotionsRepository
from agora.pricing.server.prices import PricingServer
from agora.pricing.server.promotions import PromotionsServer
from agora.pricing.service import PromotionsService
from agora_proto.orders.v1.events_pb2 import OrderCancelled, OrderPlaced
from agora_proto.pricing.v1.events_pb2 import PromotionCreated
from tricorn.events import EventMeta
from tricorn.host import Host


def register(host: Host) -> None:
    service = PromotionsService(
        PromotionsRepository(host.database), Demands(host.database), host.begin(PromotionsRepository), host.clock
    )

    async def on_promotion_created(event: PromotionCreated, meta: EventMeta) -> None:
        service.forget_promotions()

    host.serve(PricingServer(host.cpu))
    host.serve(PromotionsServer(service))
    host.subscribe_many(OrderPlaced, on_orders_placed, group="pricing.demand", repository=PromotionsRepository)
    host.subscribe(OrderCancelled, on_order_cancelled, group="pricing.demand", repository=PromotionsRepository)
    host.subscribe_broadcast(PromotionCreated, on_promotion_created)
