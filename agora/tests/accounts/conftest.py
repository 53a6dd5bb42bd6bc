"""Accounts alone, on a database of the test's own, with one customer and one member of staff."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agora.accounts import framework
from agora.accounts.passwords import encode
from agora.accounts.tokens import new_signing_key
from agora_proto.accounts.v1 import accounts_pb2 as pb
from agora_proto.accounts.v1.accounts_tricorn import AccountsServiceClient
from tricorn.clock import Clock
from tricorn.data import Database, EmbeddedPostgres
from tricorn.host.testing import TestApp, running
from tricorn.wire import Identity

framework.configure()  # the tests of the ORM import models

APPLICATION = Path(__file__).parents[2] / "tricorn.toml"
ANN = "0190a000-0000-7000-8000-00000000000a"
SAM = "0190a000-0000-7000-8000-00000000000b"
PASSWORD = "correct horse battery"
_HASH = encode(PASSWORD)
_KEY = new_signing_key()  # one for all tests: to make one takes longer than most of them


async def people(admin: Database) -> None:
    await admin.executemany(
        "INSERT INTO accounts.users (user_id, email, display_name, roles, password) VALUES ($1, $2, $3, $4, $5)",
        [(ANN, "Ann@example.com", "Ann", [], _HASH), (SAM, "sam@example.com", "Sam Staff", ["staff"], _HASH)],
    )
    await admin.execute(
        "INSERT INTO accounts.signing_keys (kid, modulus, exponent, private_pem) VALUES ($1, $2, $3, $4)",
        *(_KEY.public.kid, _KEY.public.modulus, _KEY.public.exponent, _KEY.private_pem),
    )


@dataclass(frozen=True)
class Shop:
    """The accounts of a shop; ``client`` calls as whoever is told, from wherever."""

    app: TestApp

    def client(self, user_id: str = "", *roles: str, address: str = "192.0.2.1") -> AccountsServiceClient:
        identity = Identity(user_id, "s", frozenset(roles)) if user_id else None
        return self.app.client(AccountsServiceClient, user=identity, metadata={"client-address": address})

    async def login(self, email: str = "ann@example.com", password: str = PASSWORD, **where: str) -> pb.TokenPair:
        return await self.client(**where).login(pb.LoginRequest(email=email, password=password))

    async def refresh(self, token: str) -> pb.TokenPair:
        return await self.client().refresh(pb.RefreshRequest(refresh_token=token))

    async def events(self, kind: str) -> list[bytes]:
        """What was published of a type, in order."""
        rows = await self.app.admin.fetch("SELECT data FROM accounts.outbox WHERE type = $1 ORDER BY position", kind)
        return [row["data"] for row in rows]


@pytest.fixture
def open_shop(postgres: EmbeddedPostgres) -> Callable[..., AbstractAsyncContextManager[Shop]]:
    @asynccontextmanager
    async def opened(clock: Clock | None = None) -> AsyncIterator[Shop]:
        async with running(postgres, APPLICATION, ["accounts"], prepare=people, clock=clock) as app:
            yield Shop(app)

    return opened


@pytest.fixture
async def shop(open_shop: Callable[..., AbstractAsyncContextManager[Shop]]) -> AsyncIterator[Shop]:
    async with open_shop() as shop:
        yield shop
