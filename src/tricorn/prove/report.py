"""What shadow and replay found, as figures for programs and as lines for people."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from tricorn.host.targets import short_name
from tricorn.prove.figures import Comparisons, Cost, Figures, Pairing
from tricorn.prove.histogram import Histogram, Interval
from tricorn.prove.replay import Example, Replayed
from tricorn.prove.statistics import CONFIDENCE, upper_bound

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_LEAST_CPU = 0.05
_SHOWN_EXAMPLES = 3
_SHOWN_REQUEST = 2000


def shadow_report(found: Comparisons, door: str = "tricorn") -> list[dict[str, Any]]:
    """An object for each method and candidate. Times are in seconds; intervals hold with 95 % confidence."""
    return [_pairing(pairing, figures, found, door) for pairing, figures in sorted(found.pairings.items())]


def shadow_text(report: list[dict[str, Any]]) -> Iterator[str]:
    """The same as lines."""
    for each in report:
        yield f"{each['method']}: python and {each['implementation']}"
        yield from _counts_text(each)
        yield from _times_text(each)
        path = each["onCallersPath"]
        if path["calls"]:
            often, seldom = duration(path["p50"]["estimate"]), duration(path["p99"]["estimate"])
            yield f"  on the callers' path: {often} for each call of the sample (P50; P99 {seldom})"
        yield from _fields_text(each["fields"])
        for example in each["examples"][:_SHOWN_EXAMPLES]:
            yield from _example_text(example["differences"], example["again"], "python", each["implementation"])


def replay_report(replayed: Replayed, door: str = "tricorn") -> dict[str, Any]:
    """An object. Times are in seconds."""
    return {
        "played": replayed.played,
        "seconds": replayed.seconds,
        "same": replayed.same,
        "different": replayed.different,
        "incomparable": replayed.incomparable,
        "errors": replayed.errors,
        "leftOut": replayed.left_out,
        "fields": replayed.fields,
        "latency": {"recorded": _latency(replayed.recorded), "now": _latency(replayed.now)},
        "examples": [_replayed_example(each, door) for each in replayed.examples],
    }


def replay_text(report: Mapping[str, Any]) -> Iterator[str]:
    """The same as lines."""
    rate = report["played"] / report["seconds"] if report["seconds"] else 0.0
    yield f"played {report['played']:,} calls in {report['seconds']:.1f} s ({rate:,.0f}/s)"
    yield f"  same {report['same']:,} · different {report['different']:,} · errors {sum(report['errors'].values()):,}"
    for what in ("errors", "incomparable", "leftOut"):
        name = {"errors": "error", "incomparable": "not comparable", "leftOut": "left out"}[what]
        for why, count in sorted(report[what].items()):
            yield f"  {name}: {why}: {count:,}"
    if report["latency"]["now"]["calls"]:
        yield f"  {'':<9} {'P50':>28} {'P95':>28} {'P99':>28}"
        for name in ("recorded", "now"):
            yield f"  {name:<9} " + " ".join(_interval_text(report["latency"][name][key]) for key in _QUANTILES)
    yield from _fields_text(report["fields"])
    for example in report["examples"][:_SHOWN_EXAMPLES]:
        yield from _example_text(example["differences"], example["again"], "recorded", "now")


def _pairing(pairing: Pairing, figures: Figures, found: Comparisons, door: str) -> dict[str, Any]:
    contract, _, method = pairing.method.partition("/")
    candidate_cpu = found.candidate_cpu.get(f"{contract} {pairing.implementation}", Cost())
    ratios = {key: figures.candidate.ratio(figures.reference, share) for key, share in _QUANTILES.items()}
    return {
        "method": pairing.method,
        "implementation": pairing.implementation,
        "compared": figures.compared,
        "same": figures.same,
        "different": figures.different,
        "differAtMost": upper_bound(figures.different, figures.compared) if figures.compared else None,
        "incomparable": figures.incomparable,
        "dropped": figures.dropped,
        "reversed": figures.reversed,
        "askedTwice": figures.asked_twice,
        "contradictedItself": figures.unsteady,
        "fields": figures.fields,
        "latency": {
            "python": _latency(figures.reference),
            pairing.implementation: _latency(figures.candidate),
            "ratio": {key: _interval(ratio) if ratio else None for key, ratio in ratios.items()},
        },
        "cpu": {
            "python": figures.reference_cpu.each,
            # A process counts its CPU in hundredths of a second.
            pairing.implementation: candidate_cpu.each if candidate_cpu.seconds > _LEAST_CPU else None,
        },
        "onCallersPath": _latency(figures.path),
        "examples": [
            {**each, "again": again(short_name(contract), method, each["request"], each["redacted"], door)}
            for each in figures.examples
        ],
    }


def again(contract: str, method: str, request: str, redacted: object, door: str) -> str:
    """The command that asks both implementations once more; why there is none for a request that is not whole."""
    if redacted:
        return "(secrets of this request were not kept: it cannot be asked again)"
    return f"{door} verify {contract}/{method} --request {shlex.quote(request)}"


def _replayed_example(example: Example, door: str) -> dict[str, Any]:
    contract, _, method = example.method.partition("/")
    redacted = [path for path in example.redacted if path.startswith("request.")]
    return {
        "method": example.method,
        "request": example.request,
        "differences": [
            {"path": each.path, "expected": each.expected, "actual": each.actual} for each in example.differences
        ],
        "again": again(short_name(contract), method, example.request, redacted, door),
    }


def _latency(histogram: Histogram) -> dict[str, Any]:
    intervals = {key: _interval(histogram.interval(share)) for key, share in _QUANTILES.items()}
    return {"calls": histogram.total, "mean": histogram.mean, **intervals}


def _interval(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def _counts_text(each: Mapping[str, Any]) -> Iterator[str]:
    incomparable = sum(each["incomparable"].values())
    yield (
        f"  same {each['same']:,} · different {each['different']:,} · not comparable {incomparable:,}"
        f" · dropped {each['dropped']:,}"
    )
    if each["compared"]:
        bound = f"{each['differAtMost'] * 100:.2g} %"
        yield f"  with {CONFIDENCE:.0%} confidence fewer than {bound} of such calls differ (one-sided Clopper-Pearson)"
    for cause, count in sorted(each["incomparable"].items()):
        yield f"  not comparable: {cause}: {count:,}"
    if each["reversed"]:
        yield f"  {each['reversed']:,} of them the other way round: {each['implementation']} answered the caller"
    if each["askedTwice"]:
        yield f"  python asked the same again: {each['askedTwice']:,}; answered otherwise: {each['contradictedItself']:,}"


def _times_text(each: Mapping[str, Any]) -> Iterator[str]:
    name, latency = each["implementation"], each["latency"]
    if not latency["python"]["calls"]:
        return
    yield f"  {'':<12} {'P50':>28} {'P95':>28} {'P99':>28} {'CPU of a call':>14}"
    for who in ("python", name):
        times = " ".join(_interval_text(latency[who][key]) for key in _QUANTILES)
        cpu = each["cpu"][who]
        yield f"  {who:<12} {times} {'unknown' if cpu is None else duration(cpu):>14}"
    ratios = " ".join(_ratio_text(latency["ratio"][key]) for key in _QUANTILES)
    yield f"  {name + '/python':<12} {ratios}"


def _interval_text(said: Mapping[str, float]) -> str:
    return f"{duration(said['estimate'])} ({duration(said['low'])} .. {duration(said['high'])})".rjust(28)


def _ratio_text(said: Mapping[str, float] | None) -> str:
    return (
        "".rjust(28) if said is None else f"{said['estimate']:.3g} ({said['low']:.3g} .. {said['high']:.3g})".rjust(28)
    )


def _fields_text(fields: Mapping[str, int]) -> Iterator[str]:
    for path, count in sorted(fields.items(), key=lambda item: -item[1]):
        yield f"  differs: {path}: {count:,} times"


def _example_text(differences: list[Mapping[str, str]], command: str, one: str, other: str) -> Iterator[str]:
    for each in differences[:_SHOWN_EXAMPLES]:
        yield f"  for example {each['path']}: {one} {each['expected']}, {other} {each['actual']}"
    yield f"    {command if len(command) <= _SHOWN_REQUEST else command[:_SHOWN_REQUEST] + ' ... (whole with --json)'}"


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"  # noqa: PLR2004 - a millisecond
