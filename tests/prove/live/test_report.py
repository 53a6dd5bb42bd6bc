"""What shadow's report says."""

import json
import shlex

import pytest
from google.protobuf import json_format
from probes import ADD, CONTRACT, Two, messages

from tricorn.prove.examples import as_json
from tricorn.prove.figures import Comparisons, Cost, Figures, Pairing
from tricorn.prove.report import duration, shadow_report, shadow_text


@pytest.fixture
def found() -> Comparisons:
    found = Comparisons()
    figures = found.of(Pairing(ADD, "rust"))
    figures.same, figures.dropped, figures.reversed = 2999, 4, 120
    figures.not_comparable("candidate timed out")
    for _ in range(3000):
        figures.reference.add(0.040)
        figures.candidate.add(0.0004)
        figures.path.add(10e-6)
    figures.reference_cpu = Cost(3.0, 100)
    found.candidate_cpu[f"{CONTRACT} rust"] = Cost(0.6, 3000)
    return found


def test_without_differences_it_says_how_many_there_may_be_all_the_same(found: Comparisons) -> None:
    text = "\n".join(shadow_text(shadow_report(found)))

    assert "same 2,999 · different 0 · not comparable 1 · dropped 4" in text
    assert "with 95% confidence fewer than 0.1 % of such calls differ" in text
    assert "not comparable: candidate timed out: 1" in text
    assert "120 of them the other way round: rust answered the caller" in text


def test_times_and_cpu_of_both_are_shown(found: Comparisons) -> None:
    [report] = shadow_report(found)
    text = "\n".join(shadow_text([report]))

    assert report["latency"]["ratio"]["p50"]["estimate"] == pytest.approx(0.01, rel=0.05)
    assert report["latency"]["python"]["p99"]["low"] == pytest.approx(0.040, rel=0.05)
    assert report["cpu"] == pytest.approx({"python": 0.03, "rust": 0.0002})
    assert "30 ms" in text
    assert "200 us" in text
    assert "on the callers' path: 10.2 us for each call of the sample" in text


def test_a_difference_comes_with_a_line_that_runs(found: Comparisons, two: Two) -> None:
    request = messages().AddRequest(numbers=[1, -2])
    found.of(Pairing(ADD, "rust")).different = 1
    found.of(Pairing(ADD, "rust")).fields = {"sum": 1}
    found.of(Pairing(ADD, "rust")).keep(
        {
            "time": "2026-11-21T10:00:00.000+00:00",
            "request": as_json(request),
            "redacted": [],
            "fields": ["sum"],
            "differences": [{"path": "sum", "expected": "-1", "actual": "3"}],
        }
    )

    [report] = shadow_report(found, "./tricorn")
    text = "\n".join(shadow_text([report]))

    words = shlex.split(report["examples"][0]["again"])
    assert words[:4] == ["./tricorn", "verify", "probe/Add", "--request"]
    assert json_format.Parse(words[4], messages().AddRequest()) == request
    assert "differs: sum: 1 times" in text
    assert "for example sum: python -1, rust 3" in text


def test_a_request_without_its_secrets_cannot_be_asked_again(found: Comparisons) -> None:
    example = {"time": "", "request": "{}", "redacted": ["password"], "fields": ["sum"], "differences": []}
    found.of(Pairing(ADD, "rust")).keep(example)

    [report] = shadow_report(found)

    assert "cannot be asked again" in report["examples"][0]["again"]


def test_the_report_is_json(found: Comparisons) -> None:
    found.of(Pairing(f"{CONTRACT}/Get", "rust"))  # nothing was compared yet

    said = json.loads(json.dumps(shadow_report(found)))

    assert [each["method"].partition("/")[2] for each in said] == ["Add", "Get"]
    assert said[1]["differAtMost"] is None
    assert list(shadow_text(said))


def test_figures_of_processes_are_added_up() -> None:
    one, other = Figures(same=1, dropped=2, fields={"a": 1}), Figures(same=2, different=1, fields={"a": 1, "b": 1})
    one.merge(other)

    assert (one.same, one.different, one.dropped, one.fields) == (3, 1, 2, {"a": 2, "b": 1})
    assert Figures.from_json(one.to_json()).fields == one.fields


@pytest.mark.parametrize(("seconds", "text"), [(1.5, "1.5 s"), (0.0123, "12.3 ms"), (4.5e-5, "45 us"), (0, "0 us")])
def test_times_are_read_easily(seconds: float, text: str) -> None:
    assert duration(seconds) == text
