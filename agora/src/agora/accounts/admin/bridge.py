"""From a page's thread to the event loop, where the use cases and the other contexts are."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from agora.accounts.customers import CustomerCard, Customers
from agora.accounts.repository import AccountsRepository
from agora.accounts.service import AccountsService, Publish, Work

R = TypeVar("R")

# Where a request's ASGI scope holds the bridge of the host that answers it.
SCOPE_KEY = "agora.accounts"
_LOGIN_SECONDS = 10.0
_CARD_SECONDS = 3.0


class Bridge:
    def __init__(self, service: AccountsService, customers: Customers, publish: Publish) -> None:
        self._service = service
        self._customers = customers
        self._publish = publish
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Must be called on the event loop, before the first page."""
        self._loop = asyncio.get_running_loop()

    def work(self) -> Work:
        """A unit of work in the transaction that the page has begun on this thread."""
        return Work(AccountsRepository(), self._publish)

    def verify(self, *, email: str, password: str, address: str) -> None:
        """Raises the refusal of a login that the contract would refuse; the limits are the same."""
        self._await(self._service.verify(email=email, password=password, address=address), _LOGIN_SECONDS)

    def card(self, user_id: str) -> CustomerCard:
        """What other contexts know of a customer."""
        try:
            return self._await(self._customers.card(user_id), _CARD_SECONDS)
        except TimeoutError:
            return CustomerCard(None, None)

    def _await(self, coroutine: Coroutine[Any, Any, R], seconds: float) -> R:
        if self._loop is None:
            raise RuntimeError("the bridge has not been started")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise
