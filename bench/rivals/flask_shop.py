"""The shop in Flask with SQLAlchemy Core on psycopg, for gunicorn's threads."""

import os
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID, uuid4

import orjson
from flask import Flask, Response, request
from pydantic import BaseModel, ValidationError
from sqlalchemy import TextClause, create_engine, text

from rivals import answers, orders, rules, statements
from rivals.guards import (
    ACCESS_SECONDS,
    Caller,
    Limits,
    Passwords,
    Remembered,
    Tokens,
    staff_only,
    unknown_login,
    words_of,
)
from rivals.models import Basket, Change, Login, NewOrder, Registration
from rivals.rules import RefusedError

M = TypeVar("M", bound=BaseModel)

THREADS = int(os.environ.get("RIVAL_THREADS", "4"))
_URL = os.environ["RIVAL_DATABASE"].replace("postgresql://", "postgresql+psycopg://", 1)

# A read needs no transaction: that saves it two round trips.
reads = create_engine(_URL, pool_size=THREADS, max_overflow=0, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)
writes = create_engine(_URL, pool_size=THREADS, max_overflow=0)

ME, RENAME, REGISTER, CREDENTIALS = map(
    text, (statements.ME, statements.RENAME, statements.REGISTER, statements.CREDENTIALS)
)
PRODUCTS, SEARCH, FIGURES = map(text, (statements.PRODUCTS, statements.SEARCH, statements.FIGURES))
TAKE_KEY, KEPT, REFUSE = map(text, (statements.TAKE_KEY, statements.KEPT, statements.REFUSE))
LOCK_STOCK, PLACE, CANCEL = map(text, (statements.LOCK_STOCK, statements.PLACE, statements.CANCEL))
ORDER, LOCK_ORDER, ORDERS = map(text, (statements.ORDER, statements.LOCK_ORDER, statements.ORDERS))

app = Flask("rival")
limits = Limits(float(os.environ.get("RIVAL_RATE_FACTOR", "1")))
passwords = Passwords()
remembered = Remembered()


def rows(statement: TextClause, **parameters: Any) -> list[Mapping[str, Any]]:
    with reads.connect() as connection:
        return list(connection.execute(statement, parameters).mappings())  # type: ignore[arg-type]


_key = rows(text(statements.SIGNING_KEY))[0]
tokens = Tokens(_key["kid"], _key["private_pem"])


def caller_of(rate: str) -> Caller:
    caller = tokens.caller(request.headers.get("Authorization"))
    limits.check(rate, caller.user_id)
    return caller


def body(model: type[M]) -> M:
    return model.model_validate_json(request.get_data(cache=False))


def answer(content: bytes | Any, status: int = 200, **headers: str) -> Response:
    content = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(content, status, headers, mimetype=answers.media_type(status))


def uuid_of(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError as error:
        raise RefusedError(400, "INVALID_ARGUMENT", "value must be a valid UUID") from error


@app.errorhandler(RefusedError)
def refused(error: RefusedError) -> Response:
    return answer(answers.problem(error), error.status)


@app.errorhandler(ValidationError)
def invalid(error: ValidationError) -> Response:
    return refused(answers.violations(error.errors()))


@app.get("/health/ready")
def ready() -> Response:
    rows(text("SELECT 1"))
    return answer({"status": "ok"})


@app.post("/api/v1/auth/register")
def register() -> Response:
    wanted = body(Registration)
    password = passwords.encode(wanted.password)
    with writes.begin() as connection:
        parameters = {
            "user_id": str(uuid4()),
            "email": wanted.email,
            "password": password,
            "display_name": wanted.display_name,
        }
        made = connection.execute(REGISTER, parameters).mappings().first()
    if made is None:
        raise RefusedError(409, "ALREADY_EXISTS", "This email is taken.")
    return answer(answers.user(made), 201)


@app.post("/api/v1/auth/login")
def login() -> Response:
    given = body(Login)
    found = rows(CREDENTIALS, email=given.email)
    known = found[0] if found else None
    if not passwords.matches(known, given.password) or known is None:
        raise unknown_login()
    token = tokens.sign(known["user_id"], list(known["roles"]))
    return answer({"accessToken": token, "expiresIn": ACCESS_SECONDS, "tokenType": "Bearer"})


@app.get("/api/v1/users/me")
def me() -> Response:
    caller = caller_of("read")
    found = rows(ME, user_id=caller.user_id)
    if not found:
        raise orders.not_found("user", caller.user_id)
    return answer(answers.user(found[0]), ETag=f'"{found[0]["version"]}"')


@app.patch("/api/v1/users/me")
def rename() -> Response:
    caller, change = caller_of("write"), body(Change)
    with writes.begin() as connection:
        changed = connection.execute(RENAME, {"user_id": caller.user_id, "display_name": change.display_name})
        return answer(answers.user(changed.mappings().one()))


@app.get("/api/v1/products")
def products() -> Response:
    page_size = min(int(request.args.get("pageSize", "20")), 100)
    found = rows(SEARCH, words=words_of(request.args.get("query", "")), page_size=page_size)
    ids = [row["product_id"] for row in found]
    known = {row["product_id"]: answers.product(row) for row in rows(PRODUCTS, product_ids=ids, user_id=_visitor())}
    return answer({"products": [known[each] for each in ids], "nextPageToken": ""})


@app.get("/api/v1/products/<product_id>")
def product(product_id: str) -> Response:
    key = (uuid_of(product_id), _visitor())
    kept = remembered.get(key)
    if kept is None:
        found = rows(PRODUCTS, product_ids=[key[0]], user_id=key[1])
        if not found:
            raise orders.not_found("product", product_id)
        kept = remembered.put(key, orjson.dumps(answers.product(found[0])))
    return answer(kept)


@app.post("/api/v1/quotes")
def quote() -> Response:
    visitor, basket = _visitor(), body(Basket)
    found = rows(PRODUCTS, product_ids=basket.product_ids, user_id=visitor)
    lines = rules.priced(basket.wanted, found)
    return answer(answers.quote(lines, rules.tier_of(found[0]["spent"])))


@app.post("/api/v1/orders")
def create_order() -> Response:
    caller, key = caller_of("write"), orders.key_of(request.headers.get("Idempotency-Key"))
    wanted = body(NewOrder)
    with writes.begin() as connection:
        whose = {"user_id": caller.user_id, "key": key}
        if connection.execute(TAKE_KEY, {**whose, "fingerprint": wanted.fingerprint}).first() is None:
            status, kept = orders.kept_answer(wanted, connection.execute(KEPT, whose).mappings().one())
            return answer(kept, status)
        try:
            stock = connection.execute(LOCK_STOCK, {"product_ids": wanted.product_ids}).mappings().all()
            asked = {"product_ids": wanted.product_ids, "user_id": caller.user_id}
            found = connection.execute(PRODUCTS, asked).mappings().all()
            placed = orders.placed(caller, key, wanted, stock, found)
        except RefusedError as error:
            parameters = orders.refused(caller, key, error)
            connection.execute(REFUSE, parameters)
            return answer(parameters["answer"].encode(), error.status)
        connection.execute(PLACE, placed.parameters)
    return answer(placed.answer, 201)


@app.get("/api/v1/orders")
def list_orders() -> Response:
    caller = caller_of("read")
    return answer({"orders": [answers.order(row) for row in rows(ORDERS, user_id=caller.user_id)], "nextPageToken": ""})


@app.get("/api/v1/orders/<order_id>")
def order(order_id: str) -> Response:
    caller = caller_of("read")
    found = rows(ORDER, order_id=uuid_of(order_id), user_id=caller.user_id)
    if not found:
        raise orders.not_found("order", order_id)
    return answer(answers.order(found[0]), ETag=f'"{found[0]["version"]}"')


@app.post("/api/v1/orders/<order_id>:cancel")
def cancel(order_id: str) -> Response:
    caller = caller_of("write")
    with writes.begin() as connection:
        whose = {"order_id": uuid_of(order_id), "user_id": caller.user_id}
        found = connection.execute(LOCK_ORDER, whose).mappings().first()
        if found is None:
            raise orders.not_found("order", order_id)
        parameters = orders.cancelled(found)
        if parameters is not None:
            found = connection.execute(CANCEL, parameters).mappings().one()
    return answer(answers.order(found))


@app.get("/api/v1/stats")
def stats() -> Response:
    staff_only(caller_of("read"))
    kept = remembered.get("stats")
    if kept is None:
        kept = remembered.put("stats", orjson.dumps(answers.stats("flask", rows(FIGURES)[0])))
    return answer(kept)


def _visitor() -> str | None:
    """Whose tier decides the prices; a bad token is refused, none is nobody. Counts against their rate."""
    if "Authorization" in request.headers:
        return caller_of("read").user_id
    limits.check("read", request.remote_addr or "")
    return None
