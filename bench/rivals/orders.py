"""What both rivals do about an order between their statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson

from rivals import answers, rules
from rivals.guards import Caller
from rivals.models import NewOrder
from rivals.rules import RefusedError


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that is about to be written, and what its buyer is answered."""

    answer: bytes
    parameters: dict[str, Any]


def kept_answer(wanted: NewOrder, kept: Any) -> tuple[int, bytes]:
    """What the key was answered before.

    Raises:
        RefusedError: the key was sent with another request.
    """
    if bytes(kept["fingerprint"]) != wanted.fingerprint:
        raise RefusedError(422, "IDEMPOTENCY_KEY_REUSED", "This key was sent with another request.")
    return kept["status"], kept["answer"].encode()


def placed(caller: Caller, key: str, wanted: NewOrder, stock: Sequence[Any], products: Sequence[Any]) -> Placed:
    """Prices the basket, takes the stock and the money.

    Raises:
        RefusedError: what the business refuses; nothing was written.
    """
    lines = rules.priced(wanted.wanted, products)
    total = sum(line.total for line in lines)
    rules.agree(wanted.expected, total)
    taken = rules.take(lines, stock)
    rules.authorise(wanted.payment_method)
    now = datetime.now(UTC)
    row = {
        "order_id": str(uuid4()),
        "user_id": caller.user_id,
        "state": "STATE_COMPLETED",
        "lines": orjson.dumps(answers.lines(lines)).decode(),
        "total": total,
        "payment_method": wanted.payment_method,
        "payment_id": str(uuid4()),
        "version": 1,
        "create_time": now,
        "update_time": now,
    }
    answer = orjson.dumps(answers.order(row))
    by_product = sorted(lines, key=lambda line: line.product_id)
    return Placed(answer, {
        **row,
        **rules.stock_parameters(taken),
        "now": now,
        "key": key,
        "answer": answer.decode(),
        "taken": rules.taken_to_json(taken),
        "line_products": [line.product_id for line in by_product],
        "line_units": [line.quantity for line in by_product],
        "line_revenues": [line.total for line in by_product],
    })  # fmt: skip


def refused(caller: Caller, key: str, error: RefusedError) -> dict[str, Any]:
    """The parameters that keep a refusal as the key's answer."""
    answer = orjson.dumps(answers.problem(error)).decode()
    return {"user_id": caller.user_id, "key": key, "status": error.status, "answer": answer}


def cancelled(row: Any) -> dict[str, Any] | None:
    """The parameters that give everything back; None for an order that was cancelled before."""
    if row["state"] == "STATE_CANCELLED":
        return None
    given_back = rules.stock_parameters(rules.taken_from_json(row["taken"]))
    return {**given_back, **{name: row[name] for name in ("order_id", "user_id", "payment_id", "total")}}


def key_of(header: str | None) -> str:
    """Raises:
    RefusedError: there is none.
    """
    if not header or len(header) > 100:  # noqa: PLR2004 - as long as a key may be
        raise RefusedError(400, "INVALID_ARGUMENT", "idempotencyKey: the header Idempotency-Key is needed")
    return header


def not_found(what: str, identifier: str) -> RefusedError:
    return RefusedError(404, "NOT_FOUND", f"There is no {what} {identifier}.")
