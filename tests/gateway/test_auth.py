import asyncio
import json
import time
from typing import Any

import httpx
import jwt
import pytest

from tricorn.contract import Refusal
from tricorn.gateway.auth import Authenticator, KeySet

pytestmark = pytest.mark.usefixtures("toy")

MINE = "/v1/shelves/mine"


async def status(client: httpx.AsyncClient, token: str) -> int:
    return (await client.get(MINE, headers={"authorization": f"Bearer {token}"})).status_code


async def test_a_good_token_says_who_calls(client: httpx.AsyncClient, backend: Any, issuer: Any) -> None:
    answer = await client.get(MINE, headers=issuer.bearer("ann", roles=("librarian",), session="s9"))

    assert answer.status_code == 200
    identity = backend.callers[0]
    assert (identity.user_id, identity.session_id, identity.roles) == ("ann", "s9", frozenset({"librarian"}))


async def test_no_token_is_401_with_a_challenge(client: httpx.AsyncClient) -> None:
    answer = await client.get(MINE)

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://someone.else"},
        {"aud": "other"},
        {"exp": int(time.time()) - 60},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": int(time.time()) + 86_400},
        {"iat": int(time.time()) + 86_400},
        {"iat": "now"},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"sid": None},
        {"roles": None},
        {"roles": "librarian"},
        {"roles": [1]},
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(
    client: httpx.AsyncClient, issuer: Any, claims: dict[str, Any]
) -> None:
    assert await status(client, _encode(issuer, claims)) == 401


async def test_a_token_of_somebody_whose_clock_is_a_minute_ahead_is_good_at_once(
    client: httpx.AsyncClient, issuer: Any
) -> None:
    ahead = int(time.time()) + 60

    assert await status(client, _encode(issuer, {"iat": ahead, "nbf": ahead})) == 200


def _encode(issuer: Any, claims: dict[str, Any]) -> str:
    body = {
        "iss": issuer.issuer, "aud": issuer.audience, "sub": "ann", "sid": "s1", "roles": [], "exp": int(time.time()) + 900,
    } | claims  # fmt: skip
    body = {name: value for name, value in body.items() if value is not None}
    part = jwt.api_jws.encode(_json(body), issuer.private["k1"], algorithm="RS256", headers={"kid": "k1"})
    return str(part)


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


async def test_other_algorithms_and_nameless_keys_are_refused(client: httpx.AsyncClient, issuer: Any) -> None:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    forged = jwt.api_jws.encode(_json(claims), "secret" * 10, algorithm="HS256", headers={"kid": "k1"})
    unsigned = jwt.api_jws.encode(_json(claims), "", algorithm="none", headers={"kid": "k1"})
    nameless = jwt.encode(claims, issuer.private["k1"], algorithm="RS256")
    longer = jwt.encode(claims, issuer.private["k1"], algorithm="RS512", headers={"kid": "k1"})
    other_key = jwt.encode(claims, issuer.private["k2"], algorithm="RS256", headers={"kid": "k1"})

    for token in (forged, unsigned, nameless, longer, other_key, "x", "a.b.c", "", issuer.token()[:-4] + "AAAA", "é"):
        answer = await client.get(MINE, headers=[(b"authorization", b"Bearer " + token.encode())])
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED"), token
    basic = await client.get(MINE, headers={"authorization": "Basic YTpi"})
    assert basic.status_code == 401


async def test_a_public_method_uses_a_good_token_and_refuses_a_bad_one(
    client: httpx.AsyncClient, backend: Any, issuer: Any
) -> None:
    without = await client.get("/v1/books/b1")
    good = await client.get("/v1/books/b1", headers=issuer.bearer())
    bad = await client.get("/v1/books/b1", headers={"authorization": "Bearer nonsense"})

    assert [each.status_code for each in (without, good, bad)] == [200, 200, 401]
    assert [each and each.user_id for each in backend.callers] == [None, "ann"]
    assert bad.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_role_that_is_missing_is_403(client: httpx.AsyncClient, issuer: Any) -> None:
    answer = await client.post("/v1/books", json={"title": "x"}, headers=issuer.bearer(roles=("reader",)))

    assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")


async def test_a_revoked_session_is_refused_at_once(make_gateway: Any, make_client: Any, issuer: Any) -> None:
    gateway = make_gateway()
    async with make_client(gateway) as client:
        token, other = issuer.token(session="s1"), issuer.token(session="s2")
        before = await status(client, token)
        gateway.revoke("s1", time.time() + 900)

        assert (before, await status(client, token), await status(client, other)) == (200, 401, 200)


async def test_revocations_of_the_issuer_are_read_and_forgotten_when_they_end(issuer: Any) -> None:
    now = [1000.0]
    authenticator = Authenticator(issuer.config(), wall=lambda: now[0])
    issuer.revocations.revocations.add(session_id="s1").expire_time.seconds = 1100

    await authenticator.read_revocations()
    assert "s1" in authenticator._revoked
    issuer.revocations.Clear()
    now[0] = 1200.0
    await authenticator.read_revocations()
    assert "s1" not in authenticator._revoked


async def test_a_remembered_token_ends_when_it_ends(issuer: Any) -> None:
    now = [time.time()]
    authenticator = Authenticator(issuer.config(), wall=lambda: now[0], tokens=2)
    header = f"Bearer {issuer.token(exp=int(now[0]) + 100)}"

    await authenticator.authenticate(header)
    assert authenticator.remembered(header) is not None
    now[0] += 200
    assert authenticator.remembered(header) is None
    with pytest.raises(Refusal):
        await authenticator.authenticate(header)


async def test_memory_of_tokens_is_bounded(issuer: Any) -> None:
    authenticator = Authenticator(issuer.config(), tokens=2)
    headers = [f"Bearer {issuer.token(user)}" for user in ("a", "b", "c")]
    for header in headers:
        await authenticator.authenticate(header)

    assert [authenticator.remembered(header) is not None for header in headers] == [False, True, True]


async def test_a_new_key_is_learnt_when_a_token_names_it(issuer: Any) -> None:
    now = [100.0]
    authenticator = Authenticator(issuer.config(refresh_interval=5.0), clock=lambda: now[0])
    await authenticator.authenticate(f"Bearer {issuer.token(kid='k1')}")
    issuer.shown = ["k1", "k2"]
    with pytest.raises(Refusal):
        await authenticator.authenticate(f"Bearer {issuer.token(kid='k2')}")
    now[0] += 6

    assert await authenticator.authenticate(f"Bearer {issuer.token(kid='k2')}")
    assert issuer.questions == 2


async def test_a_remembered_token_is_checked_again_when_its_key_was_withdrawn(issuer: Any) -> None:
    now = [100.0]
    authenticator = Authenticator(issuer.config(refresh_interval=5.0), clock=lambda: now[0])
    stolen = f"Bearer {issuer.token('mallory', kid='k1', exp=int(time.time()) + 10**9)}"
    await authenticator.authenticate(stolen)
    issuer.shown = ["k2"]
    now[0] += 6
    mine = f"Bearer {issuer.token('ann', kid='k2')}"
    await authenticator.authenticate(mine)

    assert authenticator.remembered(stolen) is None
    with pytest.raises(Refusal):
        await authenticator.authenticate(stolen)
    await authenticator.authenticate(mine)
    assert authenticator.remembered(mine) is not None


async def test_a_withdrawn_key_is_noticed_though_nobody_names_another(issuer: Any) -> None:
    now = [100.0]
    authenticator = Authenticator(issuer.config(renew_interval=30.0), clock=lambda: now[0])
    stolen = f"Bearer {issuer.token('mallory', exp=int(time.time()) + 10**9)}"
    await authenticator.authenticate(stolen)
    issuer.shown = ["k2"]
    assert authenticator.remembered(stolen) is not None
    assert issuer.questions == 1
    now[0] += 60

    assert authenticator.remembered(stolen) is not None  # it waits for nobody
    for _ in range(10):  # the question is answered meanwhile
        await asyncio.sleep(0)

    assert authenticator.remembered(stolen) is None
    with pytest.raises(Refusal):
        await authenticator.authenticate(stolen)
    assert issuer.questions == 2


async def test_keys_that_are_old_stay_good_while_the_issuer_is_down_which_is_asked_now_and_then(issuer: Any) -> None:
    now = [100.0]
    authenticator = Authenticator(issuer.config(renew_interval=30.0), clock=lambda: now[0])
    mine = f"Bearer {issuer.token('ann', exp=int(time.time()) + 10**9)}"
    await authenticator.authenticate(mine)
    issuer.is_down = True

    for _ in range(3):
        now[0] += 60
        for _ in range(10):
            assert await authenticator.authenticate(mine)
            await asyncio.sleep(0)

    assert issuer.questions == 4


async def test_invented_key_ids_cause_one_question_at_a_time_and_few_of_them(issuer: Any) -> None:
    keys = KeySet(issuer.config(refresh_interval=5.0), lambda: 100.0)

    found = await asyncio.gather(*(keys.find(f"x{number}") for number in range(50)))

    assert set(found) == {None}
    assert issuer.questions == 1


async def test_known_keys_stay_good_while_the_issuer_is_down(issuer: Any) -> None:
    now = [100.0]
    authenticator = Authenticator(issuer.config(), clock=lambda: now[0])
    await authenticator.authenticate(f"Bearer {issuer.token('ann')}")
    issuer.is_down = True
    now[0] += 60
    with pytest.raises(Refusal) as unknown:
        await authenticator.authenticate(f"Bearer {issuer.token('bob', kid='k2')}")

    assert unknown.value.reason == "UNAUTHENTICATED"
    assert await authenticator.authenticate(f"Bearer {issuer.token('bob')}")


async def test_an_issuer_that_never_answered_makes_tokens_uncheckable_not_bad(issuer: Any) -> None:
    issuer.is_down = True

    with pytest.raises(Refusal) as refused:
        await Authenticator(issuer.config()).authenticate(f"Bearer {issuer.token()}")

    assert refused.value.reason == "UNAVAILABLE"
