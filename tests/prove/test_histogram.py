"""Times in buckets: how exact they are, and that their intervals are a bootstrap's."""

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricorn.prove.histogram import BUCKETS, Histogram, bound, bucket_of

SECONDS = st.floats(min_value=2e-6, max_value=200)


@given(SECONDS)
def test_a_time_lies_in_its_bucket(seconds: float) -> None:
    bucket = bucket_of(seconds)

    assert bound(bucket) <= seconds * (1 + 1e-12)
    assert seconds < bound(bucket + 1) * (1 + 1e-12)


@pytest.mark.parametrize(("seconds", "bucket"), [(-1.0, 0), (0.0, 0), (1e-6, 0), (2e-6, 16), (1e9, BUCKETS - 1)])
def test_what_lies_outside_is_in_the_first_or_the_last(seconds: float, bucket: int) -> None:
    assert bucket_of(seconds) == bucket


@given(st.lists(SECONDS, min_size=1, max_size=50), st.floats(min_value=0.01, max_value=1))
def test_a_quantile_is_off_by_three_percent_at_most(times: list[float], share: float) -> None:
    histogram = of(times)

    exact = sorted(times)[max(0, -int(-share * len(times) // 1) - 1)]
    assert histogram.quantile(share) == pytest.approx(exact, rel=0.03)


@given(st.lists(SECONDS, max_size=30), st.lists(SECONDS, max_size=30))
def test_merging_is_counting_all(one: list[float], other: list[float]) -> None:
    merged = Histogram.merged([of(one), of(other)])

    assert merged.counts == of(one + other).counts
    assert merged.mean == pytest.approx(of(one + other).mean)


@given(st.lists(SECONDS, max_size=30))
def test_what_is_written_is_read_again(times: list[float]) -> None:
    histogram = of(times)

    again = Histogram.from_json(histogram.to_json())

    assert (again.counts, again.total) == (histogram.counts, histogram.total)


def test_an_interval_is_that_of_resampling_the_times_themselves() -> None:
    dice = random.Random(7)  # noqa: S311 - statistics
    times = [dice.lognormvariate(-6, 0.5) for _ in range(400)]
    resampled = sorted(sorted(dice.choices(times, k=400))[379] for _ in range(2000))

    interval = of(times).interval(0.95)

    assert interval.low == pytest.approx(resampled[50], rel=0.08)
    assert interval.high == pytest.approx(resampled[1949], rel=0.08)
    assert interval.low < interval.estimate < interval.high


def test_intervals_hold_what_they_promise() -> None:
    dice = random.Random(11)  # noqa: S311 - statistics
    held = 0
    for _ in range(200):
        interval = of([dice.expovariate(100) for _ in range(300)]).interval(0.5)
        held += interval.low <= 0.00693 <= interval.high

    assert held >= 180  # 190 are to be expected


def test_a_ratio_tells_how_many_times_as_long() -> None:
    slow, fast = of([0.040] * 200), of([0.010] * 200)

    ratio = slow.ratio(fast, 0.5)

    assert ratio is not None
    assert ratio.estimate == pytest.approx(4, rel=0.05)
    assert slow.ratio(of([]), 0.5) is None


def test_what_lies_above_a_threshold_is_counted() -> None:
    histogram = of([0.001, 0.010, 0.100])

    assert [histogram.above(limit) for limit in (0.0, 0.005, 0.05, 1.0)] == [3, 2, 1, 0]


def test_nothing_has_no_times() -> None:
    empty = of([])

    assert (empty.quantile(0.5), empty.mean, empty.interval(0.5).high) == (0, 0, 0)


def of(times: list[float]) -> Histogram:
    histogram = Histogram()
    for seconds in times:
        histogram.add(seconds)
    assert not times or histogram.mean == pytest.approx(statistics.fmean(times))
    return histogram
