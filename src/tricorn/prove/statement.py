"""What a verification says at its end, and the lines it prints on the way."""

import base64
import json
import shlex
from collections.abc import Iterator, Sequence

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from tricorn.contract import MethodPolicy
from tricorn.contract.compare import Difference
from tricorn.host.targets import short_name
from tricorn.prove.evidence import MutantsFound
from tricorn.prove.findings import Findings, Mismatch
from tricorn.prove.inputs.mix import GENERATED
from tricorn.prove.outcome import Outcome, shown
from tricorn.prove.reference import Request
from tricorn.prove.statistics import CONFIDENCE, upper_bound

DOOR = "./tricorn"


def closing(findings: Findings, mutants: MutantsFound | None, *, ended_early: str = "") -> str:
    """The closing statement: what was found, what follows from it for all such inputs, and what was not looked at."""
    generated, different = findings.compared[GENERATED], findings.different[GENERATED]
    parts = [f"{different:,} of {generated:,} generated inputs differ"]
    others = [
        f"{findings.different[source]:,} of {count:,} {source}"
        for source, count in findings.compared.items()
        if source != GENERATED and count
    ]
    if others:
        parts[0] += f" (and {', '.join(others)})"
    if generated:
        bound = upper_bound(different, generated)
        parts.append(
            f"with {CONFIDENCE:.0%} confidence (one-sided Clopper-Pearson) fewer than {_percent(bound)} of such inputs do"
        )
    if mutants is not None:
        parts.append(mutants_line(mutants))
    parts.append(f"fields never set: {_listed(findings.fields_never_set())}")
    parts.append(f"enum values never seen: {_listed(findings.values_never_seen())}")
    return (f"{ended_early}: " if ended_early else "") + "; ".join(parts)


def mutants_line(mutants: MutantsFound) -> str:
    """How many of the planted faults were noticed. Those that are claimed to change nothing count as planted, not as killed."""
    sample = f", a sample of {mutants.of:,}" if mutants.of > mutants.planted else ""
    claimed = f", {mutants.equivalent} of the others claimed equivalent" if mutants.equivalent else ""
    return f"{mutants.killed:,} of {mutants.planted:,} mutants killed{sample}{claimed}"


def details(findings: Findings) -> Iterator[str]:
    """Lines that stand above the closing statement."""
    methods = ", ".join(f"{name} {count:,}" for name, count in sorted(findings.by_method.items()))
    yield f"asked: {methods}"
    if findings.kinds:
        yield f"generated: {', '.join(f'{kind} {count:,}' for kind, count in findings.kinds.most_common())}"
    if findings.reasons:
        yield f"refusals: {', '.join(f'{reason} {count:,}' for reason, count in findings.reasons.most_common())}"
    yield (
        f"asked twice: {findings.asked_twice:,}, of which the reference answered {len(findings.unsteady):,} otherwise; "
        f"not compared by policy: {_percent(findings.ignored_share)} of the answers' bytes"
    )
    for why, count in findings.not_comparable.items():
        if count:
            yield f"not comparable: {count:,} ({why})"
    for what, count in findings.notes.items():
        if count:
            yield f"noted: {count:,} {what}"
    own = max(findings.seconds, 1e-9)
    yield (
        f"{findings.total:,} comparisons in {findings.seconds:.1f} s ({findings.total / own:,.0f}/s); "
        f"the reference computed for {findings.reference_seconds:.1f} s, {findings.cached:,} of its answers were known"
    )


def answer_lines(
    policy: MethodPolicy, expected: Outcome, actual: Outcome, differences: Sequence[Difference], against: str
) -> Iterator[str]:
    """Both answers to one request, and where they differ."""
    yield f"python: {shown(policy, expected, whole=True)}"
    yield f"{against}: {shown(policy, actual, whole=True)}"
    yield from (f"differs: {difference}" for difference in differences)
    if not differences:
        yield "the same"


def mismatch_summary(mismatch: Mismatch, policy: MethodPolicy) -> dict[str, object]:
    """A mismatch for programs."""
    return {
        "method": policy.name,
        "input": mismatch.input.name,
        "differences": [str(difference) for difference in mismatch.differences],
        "repeated": mismatch.repeated,
        "line": request_line(policy, mismatch.input.request),
    }


def mismatch_lines(mismatch: Mismatch, policy: MethodPolicy, against: str = "") -> Iterator[str]:
    """What differs, and the line that shows it."""
    found = "; ".join(map(str, mismatch.differences[:4]))
    more = f"; and {len(mismatch.differences) - 4} more" if len(mismatch.differences) > 4 else ""  # noqa: PLR2004 - those that were shown
    steady = "" if mismatch.repeated else " (asked again, the candidate gave what is expected)"
    yield f"{policy.name} ({mismatch.input.name}): {found}{more}{steady}"
    yield f"  {request_line(policy, mismatch.input.request, against)}"


def unsteady_lines(mismatch: Mismatch, policy: MethodPolicy) -> Iterator[str]:
    """What the reference says otherwise each time."""
    yield (
        f"{policy.name}: the reference answers twice otherwise: {'; '.join(map(str, mismatch.differences[:4]))}; "
        "if that is meant, declare it: compare: {mode: IGNORE} on the field"
    )
    yield f"  {request_line(policy, mismatch.input.request)}"


def request_line(policy: MethodPolicy, request: Request, against: str = "") -> str:
    """A command that asks both again, with this request alone."""
    target = f"{short_name(policy.service)}/{policy.name}"
    whom = f" --against {shlex.quote(against)}" if against else ""
    return f"{DOOR} verify {target}{whom} --request {shlex.quote(request_text(policy, request))}"


def request_text(policy: MethodPolicy, request: Request) -> str:
    """A request as JSON; one that JSON cannot hold (damaged bytes, fields of no contract) as ``base64:...``."""
    try:
        message = policy.input.FromString(request.payload)
    except DecodeError:
        return f"base64:{base64.b64encode(request.payload).decode()}"
    text = json_format.MessageToDict(message)
    again = json_format.ParseDict(text, policy.input())
    if again != message or _has_unknown(policy, request):
        return f"base64:{base64.b64encode(request.payload).decode()}"
    return json.dumps(text, ensure_ascii=False, separators=(", ", ": "))


def _has_unknown(policy: MethodPolicy, request: Request) -> bool:
    message = policy.input.FromString(request.payload)
    before = message.ByteSize()
    message.DiscardUnknownFields()
    return message.ByteSize() != before


def parse_request(policy: MethodPolicy, text: str) -> Request:
    """What `request_text` wrote.

    Raises:
        ValueError: It is neither JSON of the method's request nor base64.
    """
    if text.startswith("base64:"):
        return Request(policy.full_name, base64.b64decode(text.removeprefix("base64:"), validate=True))
    try:
        message = json_format.Parse(text, policy.input())
    except json_format.ParseError as error:
        raise ValueError(f"not a {policy.input.DESCRIPTOR.name}: {error}") from error
    return Request(policy.full_name, message.SerializeToString(deterministic=True))


def _percent(share: float) -> str:
    """With two digits that count, or three, rounded up: it never says less."""
    percent = share * 100
    if percent == 0:
        return "0 %"
    for digits in range(8):
        step = 10.0**-digits
        if percent >= step:
            rounded = -(-percent // (step / 10)) * (step / 10)
            return f"{rounded:.{digits + 1}f}".rstrip("0").rstrip(".") + " %"
    return f"{percent:.1e} %"


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "none"
