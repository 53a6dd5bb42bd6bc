"""The shop in FastAPI on asyncpg, with no ORM between, for uvicorn on uvloop."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
import orjson
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool

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
from rivals.statements import Numbered

CONNECTIONS = int(os.environ.get("RIVAL_CONNECTIONS", "8"))

ME, RENAME, REGISTER, CREDENTIALS = map(
    Numbered, (statements.ME, statements.RENAME, statements.REGISTER, statements.CREDENTIALS)
)
PRODUCTS, SEARCH, FIGURES = map(Numbered, (statements.PRODUCTS, statements.SEARCH, statements.FIGURES))
TAKE_KEY, KEPT, REFUSE = map(Numbered, (statements.TAKE_KEY, statements.KEPT, statements.REFUSE))
LOCK_STOCK, PLACE, CANCEL = map(Numbered, (statements.LOCK_STOCK, statements.PLACE, statements.CANCEL))
ORDER, LOCK_ORDER, ORDERS = map(Numbered, (statements.ORDER, statements.LOCK_ORDER, statements.ORDERS))


class Shop:
    """What lives as long as the process."""

    pool: Any
    tokens: Tokens

    def __init__(self) -> None:
        self.limits = Limits(float(os.environ.get("RIVAL_RATE_FACTOR", "1")))
        self.passwords = Passwords()
        self.remembered = Remembered()

    async def rows(self, statement: Numbered, connection: Any = None, **parameters: Any) -> list[Mapping[str, Any]]:
        """Prepared once for each connection: asyncpg keeps it by its text."""
        found: list[Mapping[str, Any]] = await (connection or self.pool).fetch(
            statement.text, *statement.values(parameters)
        )
        return found


shop = Shop()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    shop.pool = await asyncpg.create_pool(os.environ["RIVAL_DATABASE"], min_size=CONNECTIONS, max_size=CONNECTIONS)
    key = (await shop.rows(Numbered(statements.SIGNING_KEY)))[0]
    shop.tokens = Tokens(key["kid"], key["private_pem"])
    yield
    await shop.pool.close()


app = FastAPI(lifespan=lifespan, openapi_url=None)


async def reader(authorization: Annotated[str | None, Header()] = None) -> Caller:
    caller = shop.tokens.caller(authorization)
    shop.limits.check("read", caller.user_id)
    return caller


async def writer(authorization: Annotated[str | None, Header()] = None) -> Caller:
    caller = shop.tokens.caller(authorization)
    shop.limits.check("write", caller.user_id)
    return caller


async def visitor(request: Request, authorization: Annotated[str | None, Header()] = None) -> str | None:
    """Whose tier decides the prices; a bad token is refused, none is nobody."""
    if authorization is not None:
        return (await reader(authorization)).user_id
    shop.limits.check("read", request.client.host if request.client else "")
    return None


Reader = Annotated[Caller, Depends(reader)]
Writer = Annotated[Caller, Depends(writer)]
Visitor = Annotated[str | None, Depends(visitor)]


def answer(content: bytes | Any, status: int = 200, **headers: str) -> Response:
    content = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(content, status, headers, media_type=answers.media_type(status))


@app.exception_handler(RefusedError)
async def refused(_: Request, error: RefusedError) -> Response:
    return answer(answers.problem(error), error.status)


@app.exception_handler(RequestValidationError)
async def invalid(request: Request, error: RequestValidationError) -> Response:
    return await refused(request, answers.violations(error.errors()))


@app.get("/health/ready")
async def ready() -> Response:
    await shop.pool.fetchval("SELECT 1")
    return answer({"status": "ok"})


@app.post("/api/v1/auth/register")
async def register(wanted: Registration) -> Response:
    password = await run_in_threadpool(shop.passwords.encode, wanted.password)
    made = await shop.rows(
        REGISTER, user_id=uuid4(), email=wanted.email, password=password, display_name=wanted.display_name
    )
    if not made:
        raise RefusedError(409, "ALREADY_EXISTS", "This email is taken.")
    return answer(answers.user(made[0]), 201)


@app.post("/api/v1/auth/login")
async def login(given: Login) -> Response:
    found = await shop.rows(CREDENTIALS, email=given.email)
    known = found[0] if found else None
    if not await run_in_threadpool(shop.passwords.matches, known, given.password) or known is None:
        raise unknown_login()
    token = shop.tokens.sign(known["user_id"], list(known["roles"]))
    return answer({"accessToken": token, "expiresIn": ACCESS_SECONDS, "tokenType": "Bearer"})


@app.get("/api/v1/users/me")
async def me(caller: Reader) -> Response:
    found = await shop.rows(ME, user_id=caller.user_id)
    if not found:
        raise orders.not_found("user", caller.user_id)
    return answer(answers.user(found[0]), ETag=f'"{found[0]["version"]}"')


@app.patch("/api/v1/users/me")
async def rename(caller: Writer, change: Change) -> Response:
    changed = await shop.rows(RENAME, user_id=caller.user_id, display_name=change.display_name)
    return answer(answers.user(changed[0]))


@app.get("/api/v1/products")
async def products(
    who: Visitor, query: str = "", page_size: Annotated[int, Query(alias="pageSize", ge=1, le=100)] = 20
) -> Response:
    found = await shop.rows(SEARCH, words=words_of(query), page_size=page_size)
    ids = [row["product_id"] for row in found]
    known = {row["product_id"]: answers.product(row) for row in await shop.rows(PRODUCTS, product_ids=ids, user_id=who)}
    return answer({"products": [known[each] for each in ids], "nextPageToken": ""})


@app.get("/api/v1/products/{product_id}")
async def product(product_id: UUID, who: Visitor) -> Response:
    kept = shop.remembered.get((product_id, who))
    if kept is None:
        found = await shop.rows(PRODUCTS, product_ids=[product_id], user_id=who)
        if not found:
            raise orders.not_found("product", str(product_id))
        kept = shop.remembered.put((product_id, who), orjson.dumps(answers.product(found[0])))
    return answer(kept)


@app.post("/api/v1/quotes")
async def quote(who: Visitor, basket: Basket) -> Response:
    found = await shop.rows(PRODUCTS, product_ids=basket.product_ids, user_id=who)
    lines = rules.priced(basket.wanted, found)
    return answer(answers.quote(lines, rules.tier_of(found[0]["spent"])))


@app.post("/api/v1/orders")
async def create_order(
    caller: Writer, wanted: NewOrder, idempotency_key: Annotated[str | None, Header()] = None
) -> Response:
    key = orders.key_of(idempotency_key)
    async with shop.pool.acquire() as connection, connection.transaction():
        whose = {"user_id": caller.user_id, "key": key}
        if not await shop.rows(TAKE_KEY, connection, **whose, fingerprint=wanted.fingerprint):
            status, kept = orders.kept_answer(wanted, (await shop.rows(KEPT, connection, **whose))[0])
            return answer(kept, status)
        try:
            stock = await shop.rows(LOCK_STOCK, connection, product_ids=wanted.product_ids)
            found = await shop.rows(PRODUCTS, connection, product_ids=wanted.product_ids, user_id=caller.user_id)
            placed = orders.placed(caller, key, wanted, stock, found)
        except RefusedError as error:
            parameters = orders.refused(caller, key, error)
            await shop.rows(REFUSE, connection, **parameters)
            return answer(parameters["answer"].encode(), error.status)
        await shop.rows(PLACE, connection, **placed.parameters)
    return answer(placed.answer, 201)


@app.get("/api/v1/orders")
async def list_orders(caller: Reader) -> Response:
    found = await shop.rows(ORDERS, user_id=caller.user_id)
    return answer({"orders": [answers.order(row) for row in found], "nextPageToken": ""})


@app.post("/api/v1/orders/{order_id}:cancel")
async def cancel(order_id: UUID, caller: Writer) -> Response:
    async with shop.pool.acquire() as connection, connection.transaction():
        found = await shop.rows(LOCK_ORDER, connection, order_id=order_id, user_id=caller.user_id)
        if not found:
            raise orders.not_found("order", str(order_id))
        parameters = orders.cancelled(found[0])
        if parameters is not None:
            found = await shop.rows(CANCEL, connection, **parameters)
    return answer(answers.order(found[0]))


@app.get("/api/v1/orders/{order_id}")
async def order(order_id: UUID, caller: Reader) -> Response:
    found = await shop.rows(ORDER, order_id=order_id, user_id=caller.user_id)
    if not found:
        raise orders.not_found("order", str(order_id))
    return answer(answers.order(found[0]), ETag=f'"{found[0]["version"]}"')


@app.get("/api/v1/stats")
async def stats(caller: Reader) -> Response:
    staff_only(caller)
    kept = shop.remembered.get("stats")
    if kept is None:
        kept = shop.remembered.put("stats", orjson.dumps(answers.stats("fastapi", (await shop.rows(FIGURES))[0])))
    return answer(kept)
