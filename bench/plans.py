"""Whom and what the load asks for: ten thousand customers with tokens of their own, and requests that are the same for all sides."""

import asyncio
import hashlib
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import jwt
from client import FRESH_KEY, Class
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from scenarios import MIX, PLENTY, get_request, post_request

from agora.accounts.domain import ACCESS_LIFE

USERS = 10_000
BUYERS = 1_000
"""Of the users, those who order, and who ask for themselves beside the rivals."""
PRODUCTS = 1_000
_ORDERS = 4_000
_QUOTED = 5
"""Lines of a quote."""
_QUOTES = 1_000
_NAMES = ("me", "product", "quote", "order", "stats", "mix", "hot order")
_ADD_USERS = {
    "agora": "INSERT INTO accounts.users (user_id, email, display_name) SELECT md5('bench-' || n)::uuid,"
    " 'bench-' || n || '@example.com', 'Customer ' || n FROM generate_series(0, $1 - 1) AS n ON CONFLICT DO NOTHING",
    "rival": "INSERT INTO users (user_id, email, password, display_name) SELECT md5('bench-' || n)::uuid,"
    " 'bench-' || n || '@example.com', '!', 'Customer ' || n FROM generate_series(0, $1 - 1) AS n ON CONFLICT DO NOTHING",
}
_RESTOCK = {
    "agora": "UPDATE inventory.stock SET received = received + 1000000, available = available + 1000000",
    "rival": "UPDATE stock SET available = available + 1000000",
}
_KEY = "SELECT kid, private_pem FROM accounts.signing_keys WHERE sign_time <= now() ORDER BY sign_time DESC LIMIT 1"
_STAFF = "SELECT user_id::text FROM accounts.users WHERE email = 'staff@agora.example'"
_STOCKED = (
    "SELECT product_id::text FROM inventory.stock GROUP BY product_id HAVING sum(available) > $1 ORDER BY 1 LIMIT $2"
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the plans are made of: a key to sign tokens with, and products of which there is plenty, so that prices stay."""

    kid: str
    private_pem: str
    staff: str
    products: Sequence[str]


def facts(agora: str) -> Facts:
    """From Agora's database, by its administrator's URL; the ids of seeded data are the same in every home."""
    return asyncio.run(_facts(agora))


def prepare(url: str, kind: str) -> None:
    """Makes the customers in a database of ``agora`` or of a ``rival``, and a million of everything in each warehouse.

    They have no password: their tokens are made here. With that much in stock no price changes while it is bought.
    """
    asyncio.run(_prepare(url, kind))


class Plans:
    """The requests of one run. Tokens live as long as a login's, so a run makes them anew."""

    def __init__(self, known: Facts) -> None:
        self._known = known
        self._random = random.Random(20261121)  # noqa: S311 - the same load each time
        self._key = load_pem_private_key(known.private_pem.encode(), password=None)

    def classes(self, name: str) -> list[Class]:
        """Of ``me`` (1 % of calls change the name), ``product``, ``quote``, ``order``, ``stats``, ``mix`` or ``hot order`` (one product)."""
        if name not in _NAMES:
            raise ValueError(name)
        if name == "mix":
            return [self._class(part, share) for part, share in MIX]
        return self.changing(BUYERS) if name == "me" else [self._class(name, 1)]

    def me(self, users: int) -> Class:
        """Reads of so many users alone."""
        return Class("me", 1, [get_request("/api/v1/users/me", token) for token in self._tokens(users)])

    def changing(self, users: int) -> list[Class]:
        """Reads of so many users; one call in a hundred changes a name."""
        tokens = self._tokens(users)
        reads = [get_request("/api/v1/users/me", token) for token in tokens]
        changes = [_rename(token, number) for number, token in enumerate(tokens)]
        return [Class("me", 99, reads), Class("rename", 1, changes)]

    def _class(self, name: str, weight: int) -> Class:
        if name == "me":
            return Class(name, weight, self.me(BUYERS).requests)
        if name == "product":
            return Class(name, weight, [get_request(f"/api/v1/products/{each}") for each in self._known.products])
        if name == "stats":
            return Class(name, weight, [get_request("/api/v1/stats", self._token(self._known.staff, ["staff"]))])
        tokens = self._tokens(BUYERS)
        if name == "quote":
            return Class(name, weight, [self._quote(self._random.choice(tokens)) for _ in range(_QUOTES)])
        among = self._known.products[:1] if name == "hot order" else self._known.products
        return Class(
            name, weight, [_order(self._random.choice(tokens), self._random.choice(among)) for _ in range(_ORDERS)]
        )

    def _quote(self, token: str) -> bytes:
        lines = [{"productId": each, "quantity": 1} for each in self._random.sample(self._known.products, _QUOTED)]
        return post_request("/api/v1/quotes", {"lines": lines}, token)

    def _tokens(self, count: int) -> list[str]:
        return [self._token(user_id(number), []) for number in range(count)]

    def _token(self, user: str, roles: Sequence[str]) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": "agora", "aud": "agora", "sub": user, "sid": str(uuid.uuid4()), "roles": list(roles), "iat": now,
            "exp": now + int(ACCESS_LIFE.total_seconds()), "jti": str(uuid.uuid4()),
        }  # fmt: skip
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._known.kid})  # type: ignore[arg-type]


def user_id(number: int) -> str:
    """As PostgreSQL makes it of the same words."""
    return str(uuid.UUID(hashlib.md5(f"bench-{number}".encode(), usedforsecurity=False).hexdigest()))


def _rename(token: str, number: int) -> bytes:
    return post_request("/api/v1/users/me", {"displayName": f"Customer {number} the second"}, token, method="PATCH")


def _order(token: str, product: str) -> bytes:
    lines = [{"productId": product, "quantity": 1}]
    body = {"lines": lines, "paymentMethod": "test_ok", "acceptCurrentPrice": True}
    return post_request("/api/v1/orders", body, token, key=FRESH_KEY)


async def _facts(agora: str) -> Facts:
    connection: Any = await asyncpg.connect(agora, timeout=10)
    try:
        key = await connection.fetchrow(_KEY)
        products = [row[0] for row in await connection.fetch(_STOCKED, PLENTY, PRODUCTS)]
        return Facts(key["kid"], key["private_pem"], await connection.fetchval(_STAFF), products)
    finally:
        await connection.close()


async def _prepare(url: str, kind: str) -> None:
    connection: Any = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(_ADD_USERS[kind], USERS)
        await connection.execute(_RESTOCK[kind])
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
