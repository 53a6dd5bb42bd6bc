"""What the catalogue announces. It handles nothing."""

from collections.abc import Sequence

from agora.catalog.domain import Product
from agora_proto.catalog.v1.events_pb2 import ProductCreated, ProductDeleted, ProductUpdated


def created(product: Product) -> ProductCreated:
    return ProductCreated(product_id=product.product_id, seller_id=product.seller_id)


def updated(product: Product, fields: Sequence[str]) -> ProductUpdated:
    return ProductUpdated(product_id=product.product_id, fields=fields)


def deleted(product: Product) -> ProductDeleted:
    return ProductDeleted(product_id=product.product_id)
