"""What a verification says."""

from collections import Counter
from typing import Any

import pytest

from tricorn.contract import service_policies
from tricorn.host import Manifest
from tricorn.prove.coverage import Coverage
from tricorn.prove.evidence import MutantsFound
from tricorn.prove.findings import Findings, drop_ignored
from tricorn.prove.inputs.mix import CASES, GENERATED, Input
from tricorn.prove.outcome import ANSWERED, Comparison, Outcome
from tricorn.prove.reference import Request
from tricorn.prove.statement import closing, parse_request, request_text

SUMS = "quiz.sums.v1.SumsService"


@pytest.fixture
def findings(quiz: Manifest) -> Findings:
    return Findings({policy.full_name: policy for policy in service_policies(SUMS)[:1]})


def test_the_closing_statement_is_exact(findings: Findings) -> None:
    findings.compared = Counter({GENERATED: 30_000, CASES: 412})
    mutants = MutantsFound(planted=50, killed=47, equivalent=1, of=882)

    said = closing(findings, mutants)

    assert said == (
        "0 of 30,000 generated inputs differ (and 0 of 412 cases); with 95% confidence (one-sided Clopper-Pearson) fewer "
        "than 0.01 % of such inputs do; 47 of 50 mutants killed, a sample of 882, 1 of the others claimed equivalent; "
        "fields never set: AddRequest.divisor, AddRequest.rounding, AddRequest.values, AddResponse.mean, "
        "AddResponse.quotient, AddResponse.shares, AddResponse.stamp, AddResponse.sum; enum values never seen: "
        "AddRequest.rounding: ROUNDING_DOWN, AddRequest.rounding: ROUNDING_UNSPECIFIED, AddRequest.rounding: ROUNDING_UP"
    )


@pytest.mark.parametrize(
    ("different", "compared", "bound"),
    [(0, 30_000, "0.01 %"), (0, 100_000, "0.003 %"), (0, 500, "0.6 %"), (3, 1_000, "0.78 %"), (0, 3, "63.2 %")],
)
def test_the_bound_is_rounded_up_never_down(findings: Findings, different: int, compared: int, bound: str) -> None:
    findings.compared, findings.different = Counter({GENERATED: compared}), Counter({GENERATED: different})

    assert f"fewer than {bound} of such inputs do" in closing(findings, None)


def test_what_was_seen_is_no_longer_missing(findings: Findings) -> None:
    policy = findings.policies[f"{SUMS}/Add"]
    request = policy.input(values=[1], divisor=2, rounding=1).SerializeToString()
    answer = policy.output(sum=1, quotient=2, mean=0.5, shares={"1": 1.0}, stamp="x").SerializeToString()

    outcome = Outcome(ANSWERED, "OK", answer)
    findings.take(Input(GENERATED, "x", Request(policy.full_name, request)), outcome, outcome, Comparison())

    assert findings.fields_never_set() == []
    assert findings.values_never_seen() == [
        "AddRequest.rounding: ROUNDING_UNSPECIFIED",
        "AddRequest.rounding: ROUNDING_UP",
    ]


def test_what_is_not_compared_can_be_weighed(findings: Findings) -> None:
    policy = findings.policies[f"{SUMS}/Add"]
    answer: Any = policy.output(sum=1, stamp="x" * 98)

    findings.weigh(policy, Outcome(ANSWERED, "OK", answer.SerializeToString()))
    drop_ignored(answer)

    assert answer == policy.output(sum=1)
    assert findings.ignored_share == pytest.approx(100 / 102)


def test_coverage_looks_into_lists_maps_and_messages_that_hold_themselves(quiz: Manifest) -> None:
    kind: Any = service_policies("quiz.shapes.v1.ShapesService")[0].input
    coverage = Coverage([kind.DESCRIPTOR])

    coverage.add(kind(corners={"a": {"x": 1}}, circle={"inside": {"around": [{"radius": 1}]}}, colours=[2, 77]))

    missing = coverage.fields_never_set()
    assert "Point.point_id" in missing
    assert not {"Point.x", "Circle.radius", "Circle.around", "DrawRequest.circle", "DrawRequest.corners"} & set(missing)
    assert "DrawRequest.colours: COLOUR_RED" in coverage.values_never_seen()
    assert "DrawRequest.colours: COLOUR_BLUE" not in coverage.values_never_seen()


@pytest.mark.parametrize("payload", [b"\x10\x02\x18\x01", b"\xff\xff", b"\x10\x02\xf8\xff\xff\x0f\x07", b""])
def test_a_request_survives_being_printed(findings: Findings, payload: bytes) -> None:
    policy = findings.policies[f"{SUMS}/Add"]
    request = Request(policy.full_name, payload)

    assert parse_request(policy, request_text(policy, request)) == request


def test_what_is_no_request_is_refused(findings: Findings) -> None:
    with pytest.raises(ValueError, match="not a AddRequest"):
        parse_request(findings.policies[f"{SUMS}/Add"], '{"values": "x"}')
