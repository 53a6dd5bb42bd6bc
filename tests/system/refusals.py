"""What every refusal at the public port has in common, and what it must leave as it was."""

import json
from typing import Any

import httpx
import psycopg
from shop import Shop

from agora_proto.reasons import Reason
from tricorn.contract import PlatformReason

PROBLEM = "application/problem+json"
VOCABULARY = {*PlatformReason, *Reason}
_STATE = """
    SELECT (SELECT md5(string_agg(p::text, '' ORDER BY product_id)) FROM catalog.product p),
           (SELECT md5(string_agg(u::text, '' ORDER BY user_id)) FROM accounts.users u),
           (SELECT count(*) FROM orders.orders WHERE refusal IS NULL),
           (SELECT count(*) FROM inventory.reservation),
           (SELECT sum(received) FROM inventory.stock),
           (SELECT count(*) FROM payments.payment),
           (SELECT count(*) FROM pricing.coupon_use)
"""


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, after looking that it is one: of this status and code, the code being in the vocabulary."""
    assert (answer.status_code, answer.headers.get("content-type")) == (status, PROBLEM), answer.text
    found: dict[str, Any] = answer.json()
    assert found["code"] == code, found
    assert code in VOCABULARY
    assert found["status"] == status
    assert found["traceId"] == answer.headers["x-trace-id"]
    assert {"type", "title", "detail", "violations"} <= found.keys()
    assert "Traceback" not in answer.text
    return found


def state(shop: Shop) -> tuple[Any, ...]:
    """Everything that a request at the port could have changed, as the database has it."""
    url = json.loads((shop.home / "state.json").read_text())["databaseUrl"]
    with psycopg.connect(url) as connection:
        row = connection.execute(_STATE).fetchone()
    assert row is not None
    return row
