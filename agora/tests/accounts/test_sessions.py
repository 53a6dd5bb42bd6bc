"""Logging in, refreshing, logging out: against PostgreSQL, also at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from agora.accounts.directory import Directory
from agora_proto.accounts.v1 import accounts_pb2 as pb
from tricorn.clock import ManualClock
from tricorn.contract import Refusal
from tricorn.events import announce_factory
from tricorn.v1 import auth_pb2

ANN = "0190a000-0000-7000-8000-00000000000a"
SAM = "0190a000-0000-7000-8000-00000000000b"
REVOKED = "tricorn.v1.SessionRevoked"


async def claims_of(shop: Any, pair: pb.TokenPair) -> dict[str, Any]:
    """The claims, as a gateway verifies them: with a key from the key set."""
    answer = await shop.client().get_json_web_key_set(auth_pb2.GetJsonWebKeySetRequest())
    kid = jwt.get_unverified_header(pair.access_token)["kid"]
    (key,) = [key for key in answer.keys if key.kid == kid]
    public = jwt.PyJWK({"kty": key.kty, "alg": key.alg, "use": key.use, "n": key.n, "e": key.e})
    claims: dict[str, Any] = jwt.decode(pair.access_token, public, ["RS256"], audience="agora", issuer="agora")
    return claims


async def age(shop: Any, seconds: int) -> None:
    """Lets time pass for every session, on PostgreSQL's clock."""
    await shop.app.admin.execute(
        "UPDATE accounts.sessions SET rotate_time = rotate_time - $1 * interval '1 second', "
        "expire_time = expire_time - $1 * interval '1 second'",
        seconds,
    )


async def test_an_access_token_says_who_for_how_long_and_in_which_session(shop: Any) -> None:
    pair = await shop.login("sam@example.com")

    claims = await claims_of(shop, pair)
    assert (claims["sub"], claims["roles"], claims["exp"] - claims["iat"]) == (SAM, ["staff"], 900)
    assert abs(claims["iat"] - datetime.now(UTC).timestamp()) < 60
    assert await shop.app.admin.fetchval("SELECT session_id::text FROM accounts.sessions") == claims["sid"]
    assert (pair.expires_in, pair.token_type, len(claims["jti"])) == (900, "Bearer", 36)


async def test_a_refresh_token_is_stored_as_a_digest_only(shop: Any) -> None:
    pair = await shop.login()

    stored = await shop.app.admin.fetchval("SELECT digest FROM accounts.refresh_tokens")
    assert pair.refresh_token not in stored
    assert len(stored) == 64


async def test_refreshing_continues_the_session_with_a_new_pair(shop: Any) -> None:
    first = await shop.login()
    second = await shop.refresh(first.refresh_token)
    third = await shop.refresh(second.refresh_token)

    sessions = {(await claims_of(shop, pair))["sid"] for pair in (first, second, third)}
    assert len(sessions) == 1
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3


async def test_a_request_that_is_retried_within_the_grace_gets_a_new_pair_and_the_session_lives(shop: Any) -> None:
    first = await shop.login()
    await shop.refresh(first.refresh_token)
    await age(shop, 8)

    retried = await shop.refresh(first.refresh_token)

    assert (await shop.refresh(retried.refresh_token)).access_token
    assert await shop.events(REVOKED) == []


async def test_a_token_used_twice_ends_the_session_for_thief_and_owner(shop: Any) -> None:
    stolen = await shop.login()
    owners = await shop.refresh(stolen.refresh_token)
    await age(shop, 12)

    with pytest.raises(Refusal, match="TOKEN_REUSED"):
        await shop.refresh(stolen.refresh_token)
    with pytest.raises(Refusal, match="TOKEN_REUSED"):
        await shop.refresh(owners.refresh_token)

    (event,) = await shop.events(REVOKED)
    revoked = auth_pb2.SessionRevoked.FromString(event)
    claims = await claims_of(shop, owners)
    assert revoked.session_id == claims["sid"]
    assert revoked.expire_time.seconds >= claims["exp"] - 1
    listed = await shop.client().list_revocations(auth_pb2.ListRevocationsRequest())
    assert [each.session_id for each in listed.revocations] == [claims["sid"]]


async def test_another_session_of_the_same_user_is_not_touched_by_reuse(shop: Any) -> None:
    stolen, other = await shop.login(), await shop.login()
    await shop.refresh(stolen.refresh_token)
    await age(shop, 12)
    with pytest.raises(Refusal, match="TOKEN_REUSED"):
        await shop.refresh(stolen.refresh_token)

    assert (await shop.refresh(other.refresh_token)).access_token


async def test_of_two_refreshes_with_one_token_at_once_both_get_a_pair_of_one_generation(shop: Any) -> None:
    first = await shop.login()

    pairs = await asyncio.gather(*(shop.refresh(first.refresh_token) for _ in range(2)))

    generations = await shop.app.admin.fetch("SELECT generation FROM accounts.refresh_tokens ORDER BY generation")
    assert [row["generation"] for row in generations] == [0, 1, 1]
    assert (await shop.refresh(pairs[0].refresh_token)).access_token
    await age(shop, 12)
    with pytest.raises(Refusal, match="TOKEN_REUSED"):
        await shop.refresh(pairs[1].refresh_token)


async def test_a_refresh_that_had_to_wait_decides_by_what_happened_meanwhile(shop: Any) -> None:
    first = await shop.login()
    async with asyncio.timeout(10), shop.app.admin.transaction() as other:
        await other.execute(
            "UPDATE accounts.sessions SET generation = 1, rotate_time = clock_timestamp() - interval '1 minute'"
        )
        refreshing = asyncio.create_task(shop.refresh(first.refresh_token))
        waiting = "SELECT true FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while not await shop.app.admin.fetchval(waiting):
            assert not refreshing.done()

    with pytest.raises(Refusal, match="TOKEN_REUSED"):
        await refreshing


async def test_logging_out_ends_the_session_once_however_often_and_with_whichever_token(shop: Any) -> None:
    first = await shop.login()
    second = await shop.refresh(first.refresh_token)
    logout = pb.LogoutRequest(refresh_token=first.refresh_token)

    await asyncio.gather(*(shop.client().logout(logout) for _ in range(3)))

    with pytest.raises(Refusal, match="UNAUTHENTICATED"):
        await shop.refresh(second.refresh_token)
    assert len(await shop.events(REVOKED)) == 1


async def test_a_token_nobody_gave_out_cannot_refresh_and_logs_nobody_out(shop: Any) -> None:
    unknown = "x" * 43

    await shop.client().logout(pb.LogoutRequest(refresh_token=unknown))
    with pytest.raises(Refusal, match="UNAUTHENTICATED"):
        await shop.refresh(unknown)

    assert await shop.events(REVOKED) == []


async def test_a_session_that_was_left_for_a_month_has_ended(shop: Any) -> None:
    pair = await shop.login()
    await age(shop, 30 * 86_400)

    with pytest.raises(Refusal, match="UNAUTHENTICATED"):
        await shop.refresh(pair.refresh_token)


async def test_who_is_no_longer_active_cannot_refresh_or_log_in(shop: Any) -> None:
    pair = await shop.login()
    await shop.app.admin.execute("UPDATE accounts.users SET is_active = false WHERE user_id = $1", ANN)

    with pytest.raises(Refusal, match="UNAUTHENTICATED"):
        await shop.refresh(pair.refresh_token)
    with pytest.raises(Refusal, match="BAD_CREDENTIALS"):
        await shop.login()


async def test_roles_that_were_given_since_are_in_the_next_token(shop: Any) -> None:
    pair = await shop.login()
    await shop.app.admin.execute("UPDATE accounts.users SET roles = '{seller}' WHERE user_id = $1", ANN)

    assert (await claims_of(shop, await shop.refresh(pair.refresh_token)))["roles"] == ["seller"]


async def test_the_sweeper_forgets_what_has_expired_and_nothing_else(shop: Any) -> None:
    await shop.login()
    await shop.app.admin.execute("UPDATE accounts.sessions SET expire_time = now() - interval '2 hours'")
    live = await shop.login()

    database = shop.app.database("accounts")
    await Directory(database, announce_factory(database)).sweep()

    assert await shop.app.admin.fetchval("SELECT count(*) FROM accounts.sessions") == 1
    assert (await shop.refresh(live.refresh_token)).access_token


async def test_a_revocation_outlasts_the_tokens_of_a_process_whose_clock_is_ahead(open_shop: Any) -> None:
    async with open_shop(ManualClock(datetime.now(UTC) + timedelta(hours=1))) as shop:
        pair = await shop.refresh((await shop.login()).refresh_token)
        await shop.client().logout(pb.LogoutRequest(refresh_token=pair.refresh_token))

        (event,) = await shop.events(REVOKED)

    claims = jwt.decode(pair.access_token, options={"verify_signature": False})
    assert auth_pb2.SessionRevoked.FromString(event).expire_time.seconds >= claims["exp"]
