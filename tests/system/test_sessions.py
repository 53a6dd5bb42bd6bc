"""Sessions as a client lives them: refreshed, stolen, ended; and the keys behind them, changed by command."""

import jwt
import pytest
from refusals import refused
from shop import Shop, Visitor

PATIENCE = 15


def _refresh(visitor: Visitor, token: str) -> dict[str, str]:
    answer = visitor.http.post("/api/v1/auth/refresh", json={"refreshToken": token})
    assert answer.status_code == 200, answer.text
    pair: dict[str, str] = answer.json()
    return pair


def _status(agora: Shop, access_token: str) -> int:
    answer = agora.visitor().http.get("/api/v1/users/me", headers={"Authorization": f"Bearer {access_token}"})
    return answer.status_code


def test_refreshing_continues_the_session_with_a_new_pair(agora: Shop) -> None:
    buyer = agora.buyer()
    first = buyer.tokens

    second = _refresh(buyer, first["refreshToken"])

    assert second["refreshToken"] != first["refreshToken"]
    assert second["accessToken"] != first["accessToken"]
    assert _status(agora, second["accessToken"]) == 200
    sessions = {jwt.decode(pair["accessToken"], options={"verify_signature": False})["sid"] for pair in (first, second)}
    assert len(sessions) == 1


def test_a_refresh_token_that_was_stolen_ends_the_session_of_thief_and_owner(agora: Shop) -> None:
    buyer = agora.buyer()
    stolen = buyer.tokens["refreshToken"]
    second = _refresh(buyer, stolen)
    third = _refresh(buyer, second["refreshToken"])

    again = agora.visitor().http.post("/api/v1/auth/refresh", json={"refreshToken": stolen})

    refused(again, 401, "TOKEN_REUSED")
    answer = buyer.http.post("/api/v1/auth/refresh", json={"refreshToken": third["refreshToken"]})
    assert answer.status_code == 401, answer.text
    agora.wait_until(lambda: _status(agora, third["accessToken"]) == 401, PATIENCE)


def test_who_logs_out_is_out(agora: Shop) -> None:
    buyer, elsewhere = agora.buyer(), agora.buyer()
    assert _status(agora, buyer.tokens["accessToken"]) == 200

    first = buyer.http.post("/api/v1/auth/logout", json={"refreshToken": buyer.tokens["refreshToken"]})

    assert (first.status_code, first.content) == (204, b"")
    agora.wait_until(lambda: _status(agora, buyer.tokens["accessToken"]) == 401, PATIENCE)
    answer = agora.visitor().http.post("/api/v1/auth/refresh", json={"refreshToken": buyer.tokens["refreshToken"]})
    assert answer.status_code == 401, answer.text
    assert _status(agora, elsewhere.tokens["accessToken"]) == 200


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(agora: Shop) -> None:
    visitor = agora.visitor()

    answers = [
        visitor.http.post("/api/v1/auth/login", json={"email": email, "password": "not the password"})
        for email in ("buyer@agora.example", "nobody@agora.example")
    ]

    known, unknown = (refused(answer, 401, "BAD_CREDENTIALS") for answer in answers)
    assert {**known, "traceId": ""} == {**unknown, "traceId": ""}


def test_an_email_can_be_registered_once(agora: Shop) -> None:
    visitor = agora.visitor()
    someone = {"email": "Once@example.com", "password": "a long enough password", "displayName": "Once"}
    visitor.http.post("/api/v1/auth/register", json=someone)

    again = visitor.http.post("/api/v1/auth/register", json={**someone, "email": "once@EXAMPLE.com"})

    refused(again, 409, "EMAIL_TAKEN")


@pytest.mark.parametrize("path", ["/api/v1/users", "/api/v1/stats"])
def test_staff_see_what_others_may_not(agora: Shop, path: str) -> None:
    staff = agora.demo("staff")

    assert staff.http.get(path).status_code == 200
    for name in ("buyer", "seller"):
        refused(agora.demo(name).http.get(path), 403, "PERMISSION_DENIED")
    refused(agora.visitor().http.get(path), 401, "UNAUTHENTICATED")


def test_a_user_sees_of_another_only_what_everyone_may(agora: Shop) -> None:
    buyer, other = agora.buyer(), agora.buyer()
    them = other.http.get("/api/v1/users/me").json()

    seen = buyer.http.get(f"/api/v1/users/{them['userId']}").json()

    assert seen.keys() == {"userId", "displayName", "createTime"}


def test_a_new_key_signs_new_tokens_and_the_old_one_is_still_believed(agora: Shop) -> None:
    before = agora.buyer()
    old = jwt.get_unverified_header(before.tokens["accessToken"])["kid"]

    rotated = agora.command("app", "accounts", "rotate-keys", "--home", str(agora.home), "--notice-seconds", "0")

    after = agora.visitor()
    agora.wait_until(lambda: _logs_in_with_another_key(after, old), PATIENCE)
    new = jwt.get_unverified_header(after.tokens["accessToken"])["kid"]
    assert new in rotated.stdout
    assert _status(agora, before.tokens["accessToken"]) == 200
    # Without notice, a gateway that has asked for keys a moment ago asks again some seconds later.
    agora.wait_until(lambda: _status(agora, after.tokens["accessToken"]) == 200, PATIENCE)
    listed = agora.visitor().http.get("/.well-known/jwks.json").json()["keys"]
    assert {old, new} <= {key["kid"] for key in listed}


def _logs_in_with_another_key(visitor: Visitor, kid: str) -> bool:
    visitor.log_in("buyer@agora.example", "agora-demo")
    return bool(jwt.get_unverified_header(visitor.tokens["accessToken"])["kid"] != kid)
