"""Signing keys: rotated while tokens of the one before are still about."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt

from agora.accounts.commands import rotate
from tricorn.data import EmbeddedPostgres
from tricorn.host.testing import running
from tricorn.v1 import auth_pb2

APPLICATION = Path(__file__).parents[2] / "tricorn.toml"


async def rotated(shop: Any, notice: timedelta, *, compromised: bool = False) -> str:
    """The id of the key that the command makes."""
    url = shop.app.database("accounts").url
    key = await asyncio.to_thread(rotate, url, notice, compromised=compromised)
    return key.public.kid


async def listed(shop: Any) -> list[str]:
    answer = await shop.client().get_json_web_key_set(auth_pb2.GetJsonWebKeySetRequest())
    return [key.kid for key in answer.keys]


async def signer(shop: Any) -> str:
    header = jwt.get_unverified_header((await shop.login()).access_token)
    assert header["alg"] == "RS256"
    return str(header["kid"])


async def test_the_first_process_makes_a_key_and_the_next_one_finds_it(postgres: EmbeddedPostgres) -> None:
    async with running(postgres, APPLICATION, ["accounts"]) as app:
        made = await app.admin.fetch("SELECT kid FROM accounts.signing_keys")
        for start in app.process.starts:
            await start()

        assert len(made) == 1
        assert await app.admin.fetch("SELECT kid FROM accounts.signing_keys") == made


async def test_a_new_key_is_listed_before_it_signs(shop: Any) -> None:
    old = await signer(shop)

    new = await rotated(shop, timedelta(minutes=5))

    assert (await listed(shop), await signer(shop)) == ([new, old], old)


async def test_the_old_key_is_honoured_until_its_tokens_have_ended(shop: Any) -> None:
    old = await signer(shop)

    new = await rotated(shop, timedelta(0))

    assert (await listed(shop), await signer(shop)) == ([new, old], new)
    left = await shop.app.admin.fetchval(
        "SELECT expire_time - clock_timestamp() FROM accounts.signing_keys WHERE kid = $1", old
    )
    assert timedelta(minutes=15) < left <= timedelta(minutes=30)
    await shop.app.admin.execute("UPDATE accounts.signing_keys SET expire_time = now() WHERE kid = $1", old)
    assert await listed(shop) == [new]


async def test_a_compromised_key_is_forgotten_at_once(shop: Any) -> None:
    new = await rotated(shop, timedelta(minutes=5), compromised=True)

    assert (await listed(shop), await signer(shop)) == ([new], new)


async def test_no_other_context_can_read_the_keys(shop: Any) -> None:
    granted = await shop.app.admin.fetch(
        "SELECT DISTINCT grantee FROM information_schema.role_table_grants "
        "WHERE table_schema = 'accounts' AND table_name IN ('signing_keys', 'secrets') AND privilege_type = 'SELECT'"
    )
    roles = {row["grantee"] for row in granted}
    assert len(roles) == 2
    assert {role.rpartition("_")[2] for role in roles} == {"owner", "runtime"}
    assert all("accounts" in role for role in roles)
