"""Whether a step of a cutover may be left, must be waited for, or has failed."""

from __future__ import annotations

import pytest

from tricorn.prove.step_judge import Limits, StepJudge, Verdict
from tricorn.prove.tally import Arm, Tallies

PRICE, LIST = "shop.v1.PriceService/Price", "shop.v1.PriceService/List"


class Traffic:
    """What processes counted so far; each `add` is what came since the last look."""

    def __init__(self) -> None:
        self.tallies = Tallies()

    def add(self, language: str, calls: int, *, method: str = PRICE, errors: int = 0, seconds: float = 0.010) -> None:
        tally = self.tallies.arm(Arm(method, language, 1))
        tally.calls += calls
        tally.errors += errors
        for _ in range(calls):
            tally.latency.add(seconds)

    def compare(self, same: int, different: int = 0) -> None:
        tally = self.tallies.arm(Arm(PRICE, "rust", 1))
        tally.compared += same + different
        tally.different += different


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


def judge(limits: Limits | None = None, *, shadowed: bool = True) -> StepJudge:
    return StepJudge((PRICE, LIST), "rust", limits or Limits(), frozenset({PRICE, LIST} if shadowed else ()))


def looks(judge: StepJudge, traffic: Traffic, share: int, number: int = 5, **bad: float) -> Verdict:
    """Some seconds at a share, with 100 calls a second and half of them compared; `bad` says how the candidate fares."""
    verdict = Verdict("wait", "")
    for _ in range(number):
        native = share // 100
        if native < 100:
            traffic.add("python", 100 - native)
        if native:
            errors = round(bad.get("errors", 0) * native)
            traffic.add("rust", native, errors=errors, seconds=bad.get("seconds", 0.005))
        traffic.compare(50, round(bad.get("different", 0)))
        verdict = judge.take(traffic.tallies)
        if verdict.kind == "breach":
            break
    return verdict


def test_a_step_is_left_when_enough_was_seen_and_nothing_is_wrong(traffic: Traffic) -> None:
    judged = judge()
    kinds = []

    for share in (0, 2500, 5000, 10_000):
        judged.begin_step(share)
        kinds.append(looks(judged, traffic, share, 10).kind)

    assert kinds == ["go"] * 4


@pytest.mark.parametrize(
    ("share", "missing"),
    [(0, "60 of 100 calls to python"), (2500, "25 of 100 calls to rust, 0 of 20 answers compared")],
)
def test_with_too_little_traffic_it_waits_and_says_for_what(traffic: Traffic, share: int, missing: str) -> None:
    judged = judge(Limits(compared=20))
    judged.begin_step(share)

    traffic.add("python", 60)
    if share:
        traffic.add("rust", 25)
    else:
        traffic.compare(30)
    verdict = judged.take(traffic.tallies)

    assert (verdict.kind, verdict.why) == ("wait", missing)


def test_looking_again_at_the_same_figures_is_no_look(traffic: Traffic) -> None:
    judged = judge(shadowed=False)
    judged.begin_step(0)
    traffic.add("python", 1000)

    verdicts = [judged.take(traffic.tallies) for _ in range(20)]

    assert verdicts[-1].why == "1 of 4 looks"


def test_what_a_step_needs_is_counted_anew_in_each(traffic: Traffic) -> None:
    judged = judge()
    judged.begin_step(0)
    assert looks(judged, traffic, 0).kind == "go"

    judged.begin_step(100)

    assert looks(judged, traffic, 100, 3).kind == "wait"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"errors": 0.2}, "calls to rust failed"),
        ({"seconds": 0.5}, "took longer than"),
        ({"different": 1}, "differ in this step"),
    ],
)
@pytest.mark.parametrize("share", [2500, 10_000])
def test_a_candidate_that_errs_or_is_slow_or_wrong_is_found(
    traffic: Traffic, share: int, bad: dict[str, float], said: str
) -> None:
    judged = judge()
    for before in (0, 100):
        judged.begin_step(before)
        looks(judged, traffic, before)

    judged.begin_step(share)
    verdict = looks(judged, traffic, share, 20, **bad)

    assert verdict.kind == "breach"
    assert "Price" in verdict.why
    assert said in verdict.why


def test_when_both_get_slow_nobody_is_blamed(traffic: Traffic) -> None:
    judged = judge()
    for share in (0, 5000):
        judged.begin_step(share)
        looks(judged, traffic, share)

    for _ in range(30):
        traffic.add("python", 50, seconds=2.0)
        traffic.add("rust", 50, seconds=2.0)
        verdict = judged.take(traffic.tallies)

    assert verdict.kind == "go"


def test_being_faster_is_no_fault_and_neither_is_a_margin_of_milliseconds(traffic: Traffic) -> None:
    judged = judge()
    judged.begin_step(0)
    for _ in range(5):
        traffic.add("python", 100, seconds=0.0001)
        traffic.compare(10)
        judged.take(traffic.tallies)

    judged.begin_step(5000)
    for _ in range(10):
        traffic.add("python", 50, seconds=0.0001)
        traffic.add("rust", 50, seconds=0.004)
        traffic.compare(10)
        verdict = judged.take(traffic.tallies)

    assert verdict.kind == "go"


def test_the_first_calls_of_a_cold_candidate_may_be_slow(traffic: Traffic) -> None:
    judged = judge()
    judged.begin_step(0)
    looks(judged, traffic, 0)

    judged.begin_step(500)
    slow = looks(judged, traffic, 500, 4, seconds=1.0)
    verdict = looks(judged, traffic, 500, 40)

    assert slow.figures["Price"]["slow"]["rust"] == 20
    assert verdict.kind == "go"


def test_a_process_that_started_again_counts_from_zero_and_nothing_is_lost(traffic: Traffic) -> None:
    judged = judge(shadowed=False)
    judged.begin_step(0)
    traffic.add("python", 150)
    judged.take(traffic.tallies)

    again = Traffic()
    again.add("python", 60)
    verdict = judged.take(again.tallies)

    assert verdict.figures["Price"]["calls"]["python"] == 210


def test_figures_say_what_was_seen_by_method(traffic: Traffic) -> None:
    judged = judge()
    judged.begin_step(0)
    looks(judged, traffic, 0)
    judged.begin_step(2500)

    figures = looks(judged, traffic, 2500, 4).figures

    assert list(figures) == ["Price"]
    assert figures["Price"]["calls"] == {"python": 300, "rust": 100}
    assert figures["Price"]["slow"] == {"python": 0, "rust": 0}
    assert figures["Price"]["slowMs"] == pytest.approx(30, rel=0.05)


def test_nothing_is_compared_where_only_methods_with_effects_are_called(traffic: Traffic) -> None:
    judged = StepJudge((PRICE, LIST), "rust", Limits(), frozenset({LIST}))
    judged.begin_step(0)
    for _ in range(5):
        traffic.add("python", 50)
        verdict = judged.take(traffic.tallies)

    assert verdict.kind == "go"


def test_a_method_that_nobody_calls_holds_up_no_other_and_is_named(traffic: Traffic) -> None:
    judged = judge()
    judged.begin_step(2500)

    verdict = looks(judged, traffic, 2500, 10)

    assert verdict.kind == "go"
    assert judged.unseen == ["List"]


def test_quiet_is_when_nobody_called(traffic: Traffic) -> None:
    judged = judge()
    judged.begin_step(0)
    judged.take(traffic.tallies)
    assert judged.quiet

    traffic.add("python", 1)
    judged.take(traffic.tallies)

    assert not judged.quiet


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"errors": 1.0}, {"slow": -0.1}, {"calls": -1}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="are"):
        Limits(**wrong)  # type: ignore[arg-type]
