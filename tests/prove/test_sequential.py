"""The test that may be looked at after every batch: how often it is wrong, and how soon it is right."""

from __future__ import annotations

import itertools
import math

import pytest
from tests.prove import simulation

from tricorn.prove.sequential import Count, Watch, upper_rate

PLAIN_RUNS, FULL_RUNS = 60, 500


@pytest.mark.parametrize("name", simulation.NULLS)
def test_a_candidate_within_the_tolerance_raises_no_alarm(name: str) -> None:
    rates, limits = simulation.NULLS[name]

    found = simulation.simulate(rates, limits, runs=PLAIN_RUNS, looks=60, calls=(20, 60))

    # With alpha = 1 %, 5 or more alarms in 60 runs have a probability of 0.0003.
    assert found.share * PLAIN_RUNS < 5


@pytest.mark.full
@pytest.mark.parametrize("name", simulation.NULLS)
def test_false_alarms_are_no_more_than_alpha_over_two_hundred_looks(name: str) -> None:
    rates, limits = simulation.NULLS[name]

    found = simulation.simulate(rates, limits, runs=FULL_RUNS, looks=200, calls=(20, 60))

    assert found.share <= simulation.ALPHA


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("errors: 0.1 % and 5 %", 600),
        ("errors: 0.1 % and 20 %", 120),
        ("errors: 0.1 % and 100 %", 60),
        ("slow: 5 % and 20 %", 800),
        ("slow: 5 % and 40 %", 200),
        ("slow: 5 % and 100 %", 100),
    ],
)
def test_a_bad_candidate_is_found_within_so_many_of_its_calls(name: str, calls: int) -> None:
    rates, limits = simulation.BAD[name]

    found = simulation.simulate(rates, limits, runs=PLAIN_RUNS, looks=60, calls=(20, 60))

    assert found.share == 1
    assert found.quantile(0.9) <= calls


def test_one_that_turns_bad_late_is_found_about_as_soon_as_one_that_was_bad_from_the_start() -> None:
    rates, limits = simulation.BAD["slow: 5 % and 40 %, only after 100 good looks"]

    found = simulation.simulate(rates, limits, runs=20, looks=140, calls=(20, 60))

    assert found.share == 1
    assert found.quantile(0.9) <= (100 + 15) * 20


@pytest.mark.parametrize(
    ("candidate", "reference", "calls"),
    [(0.3, 0.25, (2, 3)), (0.05, 0.0, (4, 1)), (0.9, 0.85, (1, 4)), (0.1, 0.3, (3, 3)), (1.0, 1.0, (3, 2))],
)
def test_the_mean_of_a_bet_is_at_most_one_whatever_the_rates_within_the_tolerance(
    candidate: float, reference: float, calls: tuple[int, int]
) -> None:
    """Exact: every outcome of a batch with its probability; the wealth before the first look is 1."""
    mean = 0.0
    for outcome in itertools.product((0, 1), repeat=sum(calls)):
        of_candidate, of_reference = outcome[: calls[0]], outcome[calls[0] :]
        probability = math.prod(candidate if hit else 1 - candidate for hit in of_candidate)
        probability *= math.prod(reference if hit else 1 - reference for hit in of_reference)
        watch = Watch(0.05, 0.01, expected=Count(20, 3))
        watch.look(Count(calls[0], sum(of_candidate)), Count(calls[1], sum(of_reference)))
        mean += probability * watch.wealth

    assert mean <= 1 + 1e-9


def test_without_any_tolerance_the_first_difference_is_the_alarm() -> None:
    watch = Watch(0.0, 0.01)

    assert not watch.alone(Count(100_000, 0), 0.0)
    assert watch.alone(Count(1, 1), 0.0)


def test_a_declared_tolerance_of_differences_is_one() -> None:
    within, beyond = Watch(0.01, 0.01), Watch(0.01, 0.01)

    for _ in range(100):
        within.alone(Count(100, 1), 0.0)
        beyond.alone(Count(100, 5), 0.0)

    assert not within.alarm
    assert beyond.alarm


def test_one_bad_batch_is_not_enough_where_a_look_is_limited() -> None:
    limited, unlimited = Watch(0.05, 0.01, most_per_look=3.0), Watch(0.05, 0.01)
    fine, stalled = Count(200, 10), Count(200, 200)

    for watch in (limited, unlimited):
        for batch in (fine, fine, stalled, fine, fine, fine):
            watch.look(batch, Count(600, 30))

    assert unlimited.alarm
    assert not limited.alarm


def test_batches_without_calls_of_both_tell_nothing() -> None:
    watch = Watch(0.01, 0.01)

    watch.look(Count(0, 0), Count(50, 0))
    watch.look(Count(50, 50), Count(0, 0))

    assert watch.wealth == 1
    assert not watch.alarm


def test_the_alarm_stays() -> None:
    watch = Watch(0.0, 0.01)
    watch.alone(Count(1, 1), 0.0)

    assert watch.alone(Count(1000, 0), 0.0)
    assert watch.alarm


@pytest.mark.parametrize(("calls", "hits"), [(3, 4), (-1, -1), (3, -1)])
def test_counts_that_cannot_be_are_refused(calls: int, hits: int) -> None:
    with pytest.raises(ValueError, match="hits among"):
        Count(calls, hits)


def test_an_upper_bound_of_a_rate_lies_above_it_and_is_one_when_nothing_was_seen() -> None:
    assert upper_rate(Count(0, 0)) == 1
    assert 0 < upper_rate(Count(1000, 0)) < 0.005
    assert 0.05 < upper_rate(Count(1000, 50)) < 0.07
