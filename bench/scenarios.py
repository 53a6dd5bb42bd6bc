"""What is asked of the shop: each scenario makes the bytes of its next request."""

import itertools
import json
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from shop import Shop

HEAD = "Host: shop\r\nAccept: application/json\r\n"
MIX = (("product", 70), ("me", 15), ("order", 10), ("stats", 5))
BUYERS = 24
PLENTY = 100


class Scenarios:
    """Requests of many customers, the same from run to run."""

    def __init__(self, shop: Shop) -> None:
        self._random = random.Random(20261121)  # noqa: S311 - the same load each time
        self._tokens = itertools.cycle([shop.buyer().tokens["accessToken"] for _ in range(BUYERS)])
        self._staff = shop.demo("staff").tokens["accessToken"]
        visitor = shop.visitor()
        pages = self._pages(visitor.products)
        stock = {product["productId"]: product["inventory"]["available"] for product in pages}
        self._products = [product_id for product_id, available in sorted(stock.items()) if available > PLENTY]

    def get(self, name: str) -> Callable[[], bytes]:
        """The maker of a scenario's requests: ``me``, ``product``, ``quote``, ``order``, ``stats`` or ``mix``."""
        makers: dict[str, Callable[[], bytes]] = {
            "me": self._me, "product": self._product, "quote": self._quote, "order": self._order, "stats": self._stats,
        }  # fmt: skip
        if name != "mix":
            return makers[name]
        deck = [makers[part] for part, share in MIX for _ in range(share)]
        return lambda: self._random.choice(deck)()  # noqa: PLW0108 - another one each time

    def _me(self) -> bytes:
        return get_request("/api/v1/users/me", next(self._tokens))

    def _product(self) -> bytes:
        return get_request(f"/api/v1/products/{self._random.choice(self._products)}")

    def _stats(self) -> bytes:
        return get_request("/api/v1/stats", self._staff)

    def _quote(self) -> bytes:
        return post_request("/api/v1/quotes", {"lines": self._lines(5)}, next(self._tokens))

    def _order(self) -> bytes:
        body = {"lines": self._lines(1), "paymentMethod": "test_ok", "acceptCurrentPrice": True}
        return post_request(
            "/api/v1/orders", body, next(self._tokens), key=str(uuid.UUID(int=self._random.getrandbits(128)))
        )

    def _lines(self, count: int) -> list[dict[str, Any]]:
        return [{"productId": product, "quantity": 1} for product in self._random.sample(self._products, count)]

    @staticmethod
    def _pages(products: Callable[..., list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        for letter in "abcdefghijklmnopqrstuvwxyz":
            yield from products(query=letter, pageSize=100, orderBy="title")


def get_request(path: str, token: str | None = None) -> bytes:
    return f"GET {path} HTTP/1.1\r\n{HEAD}{_authorization(token)}\r\n".encode()


def post_request(
    path: str, body: dict[str, Any], token: str | None = None, key: str = "", method: str = "POST"
) -> bytes:
    content = json.dumps(body).encode()
    idempotency = f"Idempotency-Key: {key}\r\n" if key else ""
    head = (
        f"{method} {path} HTTP/1.1\r\n{HEAD}{_authorization(token)}{idempotency}"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _authorization(token: str | None) -> str:
    return f"Authorization: Bearer {token}\r\n" if token else ""
