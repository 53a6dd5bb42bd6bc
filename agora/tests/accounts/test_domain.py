"""The pure rules: names, passwords, login limits, keys."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora.accounts.domain import (
    ACCESS_LIFE,
    KeySpan,
    Limit,
    Profile,
    Tally,
    address_block,
    clean_display_name,
    email_key,
    retirement,
    signer,
    throttle_keys,
    weaknesses,
)

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMIT = Limit(5, timedelta(minutes=15))
MOMENTS = st.integers(0, 3 * 900_000).map(lambda milliseconds: START + timedelta(milliseconds=milliseconds))


def test_a_display_name_is_composed_and_has_single_spaces() -> None:
    assert clean_display_name(" Ame\u0301lie \t  P. ") == "Amélie P."
    assert clean_display_name(" \u2003\n") == ""


def test_spellings_of_an_email_differ_in_case_and_white_space_only() -> None:
    assert email_key(" Ann@Example.COM ") == email_key("ann@example.com") != email_key("a.nn@example.com")


def test_a_sound_password_has_no_weakness() -> None:
    assert weaknesses("a sound passphrase", email="ann@example.com", display_name="Ann") == []


def test_a_password_can_be_weak_in_several_ways() -> None:
    rules = [found.rule for found in weaknesses("1111111111", email="1111@example.com", display_name="Ann")]

    assert rules == ["password.monotonous", "password.numeric", "password.personal"]


def test_a_short_name_is_no_reason_to_refuse_a_password() -> None:
    assert weaknesses("annular sonnets", email="ann@example.com", display_name="Son") == []


def test_only_the_version_that_was_read_may_be_changed() -> None:
    user = Profile("u", "e", "n", (), 3, START, START)

    assert [user.matches(etag) for etag in ("", "3", "2", "03", "*")] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unix", "unix"),
    ],
)
def test_an_address_stands_for_its_customer(address: str, block: str) -> None:
    assert address_block(address) == block


def test_a_login_is_counted_for_its_account_and_its_address_without_naming_them() -> None:
    keys = throttle_keys("Ann@example.com", "192.0.2.7")

    assert [key.partition(":")[0] for key in keys] == ["account", "address"]
    assert keys[0] == throttle_keys("ann@EXAMPLE.com", "")[0]
    assert not any("ann" in key.lower() or "192" in key for key in keys)


def test_a_window_that_is_full_opens_as_the_attempts_in_it_grow_old() -> None:
    # Five attempts at the start of a window. In the next one they weigh 5 x (1 - share); one more fits at weight 4,
    # which is a fifth of the window into it: 15 + 3 minutes after the first.
    tally = Tally(START, current=5)

    assert tally.wait(START + timedelta(minutes=1), LIMIT) == timedelta(minutes=17)


def test_an_attempt_from_two_windows_ago_is_forgotten() -> None:
    tally = Tally(START, current=5, previous=5)

    assert tally.at(START + timedelta(minutes=30), LIMIT) == Tally(START + timedelta(minutes=30))


def test_what_is_given_back_comes_from_the_window_before_when_this_one_is_empty() -> None:
    assert Tally(START, 2, 3).given_back() == Tally(START, 1, 3)
    assert Tally(START, 0, 3).given_back() == Tally(START, 0, 2)
    assert Tally(START, 0, 0).given_back() == Tally(START, 0, 0)


@given(st.integers(1, 20), st.integers(0, 20), st.integers(0, 40), MOMENTS)
def test_after_the_wait_that_was_named_an_attempt_is_allowed_and_before_it_none(
    attempts: int, current: int, previous: int, now: datetime
) -> None:
    limit = Limit(attempts, timedelta(minutes=15))
    tally = Tally(START, current, previous).at(now, limit)

    wait = tally.wait(now, limit)

    after = now + wait + timedelta(milliseconds=1)
    assert not tally.at(after, limit).wait(after, limit)
    if wait > timedelta(milliseconds=2):
        before = now + wait - timedelta(milliseconds=1)
        assert tally.at(before, limit).wait(before, limit) > timedelta(0)


@given(st.lists(st.integers(0, 1_800_000), min_size=1, max_size=60))
def test_never_more_attempts_than_the_limit_pass_in_one_window(offsets: list[int]) -> None:
    tally, passed = Tally(START), []
    for offset in sorted(offsets):
        now = START + timedelta(milliseconds=offset)
        tally = tally.at(now, LIMIT)
        if not tally.wait(now, LIMIT):
            tally = tally.counted()
            passed.append((tally.window_start, offset))

    for start, _ in passed:
        assert sum(each == start for each, _ in passed) <= LIMIT.attempts


def test_the_newest_key_that_may_sign_signs() -> None:
    old = KeySpan("old", START - timedelta(days=9), START + timedelta(hours=1))
    now = KeySpan("now", START - timedelta(days=1))
    soon = KeySpan("soon", START + timedelta(minutes=1))

    assert signer([old, now, soon], START) == now
    assert signer([old, now, soon], START + timedelta(minutes=1)) == soon
    assert signer([KeySpan("gone", START - timedelta(days=9), START)], START) is None


def test_a_key_is_honoured_until_every_token_of_it_has_ended() -> None:
    assert retirement(START) >= START + ACCESS_LIFE
