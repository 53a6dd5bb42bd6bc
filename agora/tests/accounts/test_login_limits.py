"""Failed logins are counted for each account and each address, whoever is behind them and however many come at once."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from agora.accounts.passwords import Passwords
from tricorn.contract import Refusal

WRONG = "not the password"


async def outcome(shop: Any, email: str, password: str = WRONG, address: str = "192.0.2.1") -> str:
    try:
        await shop.login(email, password, address=address)
    except Refusal as refusal:
        return refusal.reason
    return "OK"


async def test_of_twenty_failed_logins_at_once_ten_are_looked_at(shop: Any) -> None:
    outcomes = await asyncio.gather(*(outcome(shop, "ann@example.com") for _ in range(20)))

    assert Counter(outcomes) == {"BAD_CREDENTIALS": 10, "LOGIN_THROTTLED": 10}


async def test_a_throttled_account_refuses_the_right_password_too_and_says_until_when(shop: Any) -> None:
    for _ in range(10):
        await outcome(shop, "ann@example.com")

    with pytest.raises(Refusal, match="LOGIN_THROTTLED") as caught:
        await shop.login("ann@example.com", address="198.51.100.9")

    assert caught.value.retry_after is not None
    assert 900 < caught.value.retry_after <= 1800


async def test_an_unknown_email_is_throttled_as_a_known_one_is(shop: Any) -> None:
    outcomes = [await outcome(shop, "nobody@example.com") for _ in range(11)]

    assert outcomes == ["BAD_CREDENTIALS"] * 10 + ["LOGIN_THROTTLED"]


async def test_an_address_that_fails_for_many_accounts_is_throttled_and_others_are_not(shop: Any) -> None:
    accounts = [f"user{number}@example.com" for number in range(100)]
    await shop.app.admin.execute(
        "INSERT INTO accounts.login_tallies (key, current) SELECT $1, 99",
        "address:" + await _digest(shop, "192.0.2.1"),
    )

    assert await outcome(shop, accounts[0]) == "BAD_CREDENTIALS"
    assert await outcome(shop, accounts[1]) == "LOGIN_THROTTLED"
    assert await outcome(shop, accounts[2], address="198.51.100.9") == "BAD_CREDENTIALS"


async def test_right_passwords_are_not_counted(shop: Any) -> None:
    for _ in range(12):
        assert await outcome(shop, "ann@example.com", "correct horse battery") == "OK"


async def test_the_count_is_kept_where_every_process_and_the_next_one_see_it(shop: Any) -> None:
    await asyncio.gather(*(outcome(shop, "ann@example.com") for _ in range(3)))

    rows = await shop.app.admin.fetch("SELECT key, current FROM accounts.login_tallies ORDER BY key")
    assert [(row["key"].partition(":")[0], row["current"]) for row in rows] == [("account", 3), ("address", 3)]


async def test_an_unknown_email_and_an_unusable_password_cost_the_same_hashes_as_a_wrong_password() -> None:
    passwords = Passwords()
    known = await passwords.hash("the right password")

    costs = []
    for encoded in (known, None, "!"):
        before = passwords.computations
        assert not await passwords.matches(WRONG, encoded)
        costs.append(passwords.computations - before)

    assert costs == [1, 1, 1]
    assert await passwords.matches("the right password", known)
    passwords.close()


async def test_more_logins_than_can_wait_are_turned_away() -> None:
    passwords = Passwords(threads=1, waiting=2)

    answers = await asyncio.gather(*(passwords.matches(WRONG, None) for _ in range(6)), return_exceptions=True)

    refused = [answer.reason for answer in answers if isinstance(answer, Refusal)]
    assert (answers.count(False), refused) == (3, ["UNAVAILABLE"] * 3)
    passwords.close()


async def _digest(shop: Any, text: str) -> str:
    digest: str = await shop.app.admin.fetchval("SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')", text)
    return digest
