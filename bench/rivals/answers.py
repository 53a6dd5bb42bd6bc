"""What the rivals answer: the JSON of Agora's API, from rows."""

import json
import os
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rivals.rules import Line, RefusedError, divide_half_even, tier_of, unit_price

_STARTED = time.monotonic()
_FIRST_ERROR = 400


def money(minor_units: int) -> dict[str, str]:
    return {"currency": "USD", "minorUnits": str(minor_units)}


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def user(row: Any) -> dict[str, Any]:
    return {
        "userId": row["user_id"],
        "email": row["email"],
        "displayName": row["display_name"],
        "roles": list(row["roles"]),
        "etag": str(row["version"]),
        "createTime": moment(row["create_time"]),
        "updateTime": moment(row["update_time"]),
    }


def product(row: Any) -> dict[str, Any]:
    base, final = row["base_price"], unit_price(row)
    stock = zip(row["warehouse_ids"], row["amounts"], strict=True)
    return {
        "productId": row["product_id"],
        "sellerId": row["seller_id"],
        "title": row["title"],
        "description": row["description"],
        "categoryIds": list(row["category_ids"]),
        "releaseYear": row["release_year"],
        "etag": str(row["version"]),
        "inventory": {
            "available": row["available"],
            "warehouses": [{"warehouseId": warehouse, "available": available} for warehouse, available in stock],
        },
        "pricing": {
            "discountPercent": divide_half_even(100 * (base - final), base),
            "tier": tier_of(row["spent"]),
            "basePrice": money(base),
            "finalPrice": money(final),
        },
        "createTime": moment(row["create_time"]),
        "updateTime": moment(row["update_time"]),
    }


def lines(priced: Sequence[Line]) -> list[dict[str, Any]]:
    return [
        {
            "productId": line.product_id,
            "title": line.title,
            "quantity": line.quantity,
            "unitPrice": money(line.unit_price),
            "subtotal": money(line.total),
            "discount": money(0),
            "total": money(line.total),
        }
        for line in priced
    ]


def quote(priced: Sequence[Line], tier: str) -> dict[str, Any]:
    total = sum(line.total for line in priced)
    return {"lines": lines(priced), "promotions": [], "tier": tier, "exact": True, **_totals(total)}


def order(row: Any) -> dict[str, Any]:
    return {
        "orderId": row["order_id"],
        "userId": row["user_id"],
        "state": row["state"],
        "lines": json.loads(row["lines"]),
        "promotions": [],
        "paymentMethod": row["payment_method"],
        "paymentId": row["payment_id"],
        "failure": "",
        "etag": str(row["version"]),
        **_totals(row["total"]),
        "createTime": moment(row["create_time"]),
        "updateTime": moment(row["update_time"]),
    }


def stats(name: str, figures: Any) -> dict[str, Any]:
    uptime = str(int(time.monotonic() - _STARTED))
    counts = ("products", "categories", "sellers", "orders")
    return {
        "services": [
            {"name": name, "implementation": "python", "process": str(os.getpid()), "uptimeSeconds": uptime}
        ],
        "shop": {
            **{count: str(figures[count]) for count in counts},
            "confirmedOrders": str(figures["confirmed_orders"]),
            "revenue": money(figures["revenue"]),
        },
        "missing": [],
    }  # fmt: skip


def media_type(status: int) -> str:
    return "application/problem+json" if status >= _FIRST_ERROR else "application/json"


def problem(refused: RefusedError) -> dict[str, Any]:
    return {
        "type": f"/problems/{refused.code.lower().replace('_', '-')}",
        "title": refused.code.replace("_", " ").capitalize(),
        "status": refused.status,
        "detail": refused.detail,
        "code": refused.code,
        "traceId": uuid.uuid4().hex,
        "violations": refused.violations,
    }


def violations(errors: Sequence[Any]) -> RefusedError:
    """What pydantic found wrong."""
    found = [
        {
            "field": ".".join(str(part) for part in error["loc"] if part != "body"),
            "rule": error["type"],
            "message": error["msg"],
        }
        for error in errors
    ]
    detail = f"{found[0]['field']}: {found[0]['message']}" if found else "The request is wrong."
    return RefusedError(400, "INVALID_ARGUMENT", detail, found)


def _totals(total: int) -> dict[str, Any]:
    return {"subtotal": money(total), "discount": money(0), "total": money(total)}
