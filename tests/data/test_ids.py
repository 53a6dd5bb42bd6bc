"""UUIDv7 as RFC 9562 has it."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

import pytest

from tricorn.data import uuid7


def test_an_id_is_a_version_7_uuid_that_carries_the_time() -> None:
    before = time.time_ns() // 1_000_000

    value = UUID(uuid7())

    assert value.version == 7
    assert value.variant == RFC_4122
    assert before <= value.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_sort_in_the_order_in_which_they_were_made() -> None:
    made = [uuid7() for _ in range(20_000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_go_on_rising_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = uuid7()

    monkeypatch.setattr("tricorn.data.ids.time.time_ns", lambda: 1_000_000_000)

    assert uuid7() > before


def test_threads_never_make_the_same_id() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: [uuid7() for _ in range(2_000)], range(8)))

    assert len({value for part in made for value in part}) == 16_000
