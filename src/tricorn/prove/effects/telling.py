"""What a verification of effects says: its closing statement, and the lines above it."""

from collections.abc import Iterator

from tricorn.prove.effects.comparing import Played
from tricorn.prove.effects.histories import Failed, ModeFound
from tricorn.prove.effects.verifying import Effects
from tricorn.prove.evidence import MutantsFound
from tricorn.prove.outcome import shown
from tricorn.prove.statement import DOOR, closing

_MOST_STATE = 6


def closing_of(effects: Effects, mutants: MutantsFound | None, *, ended_early: str = "") -> str:
    """What was found, what follows from it, and what was not looked at."""
    sequences = effects.sequences
    parts = [
        closing(effects.findings, mutants, ended_early=ended_early),
        f"{len(sequences.different):,} of {sequences.sequences:,} sequences differ, in an answer or in the state after them",
        f"{sequences.at_once:,} of them were played at once with others; state is {len(effects.queries)} queries, {sequences.rows:,} rows",
    ]
    if effects.histories:
        modes = ", ".join(f"{name}: {mode_words(mode)}" for name, mode in effects.histories.items())
        parts.append(f"histories of calls at once judged as strictly serialisable in small windows ({modes})")
        looks = sum(mode.looks for mode in effects.histories.values())
        broken = sum(len(mode.broken) for mode in effects.histories.values())
        parts.append(f"{len(effects.invariants)} invariants looked at {looks:,} times, broken {broken} times")
    else:
        parts.append("no history of calls at once was judged: the application gives no model")
    parts.append(
        "not compared: what fields and queries leave out, times beyond what queries say, and calls at once in other mixtures"
    )
    return "; ".join(parts)


def mode_words(mode: ModeFound) -> str:
    """One mode in a few words."""
    across = f", {mode.across:,} of them by both" if mode.across else ""
    wrong = f"{mode.impossible} of {mode.windows} impossible"
    undecided = f", {mode.undecided} undecided" if mode.undecided else ""
    unknown = f", {mode.unknown} calls without an outcome" if mode.unknown else ""
    return f"{wrong}{undecided}, {mode.calls:,} calls, {mode.overlapping:,} pairs overlapping{across}{unknown}"


def details_of(effects: Effects) -> Iterator[str]:
    """Lines that stand above the closing statement."""
    findings, sequences = effects.findings, effects.sequences
    yield f"called: {', '.join(f'{name} {count:,}' for name, count in sorted(findings.by_method.items()))}"
    if findings.kinds:
        yield f"generated: {', '.join(f'{kind} {count:,}' for kind, count in findings.kinds.most_common())}"
    if findings.reasons:
        yield f"refusals: {', '.join(f'{reason} {count:,}' for reason, count in findings.reasons.most_common())}"
    for why, count in (*findings.not_comparable.items(), *findings.notes.items()):
        if count:
            yield f"noted: {count:,} ({why})"
    yield (
        f"sequences: {sequences.sequences:,}, {sequences.at_once:,} of them at once with others; {findings.total:,} answers and "
        f"{sequences.states:,} states compared in {findings.seconds:.1f} s ({findings.total / max(findings.seconds, 1e-9):,.0f} calls/s)"
    )
    if sequences.only_at_once:
        yield f"differ only when they are played at once: {sequences.only_at_once} groups"
    for name, mode in effects.histories.items():
        yield f"histories, {name}: {mode_words(mode)}; {mode.seconds:.1f} s"
        yield from (f"  broken: {line}" for line in mode.broken)


def played_lines(played: Played, against: str, target: str, seed: int) -> Iterator[str]:
    """A sequence that differs, as its reader needs it: every call with both answers, what differs, and the line that shows it again."""
    sequence = played.sequence
    yield f"{f'case {sequence.name}' if sequence.name else f'sequence {sequence.number}'} differs"
    for table, rows in sequence.rows.items():
        yield from (f"  before: {table} {row}" for row in rows)
    for number, (call, expected, actual, comparison) in enumerate(
        zip(sequence.calls, played.expected, played.actual, played.comparisons, strict=True), 1
    ):
        yield f"  {number}. {call}"
        yield f"     python: {shown(call.policy, expected)}"
        if comparison.differences:
            yield f"     {against}: {shown(call.policy, actual)}"
            yield from (f"     differs: {each}" for each in comparison.differences)
    state = played.state or ()
    yield from (f"  state differs: {line}" for line in state[:_MOST_STATE])
    if len(state) > _MOST_STATE:
        yield f"  and {len(state) - _MOST_STATE} more rows"
    if not sequence.name:
        seeded = f" --seed {seed}" if seed != 1 else ""
        yield f"  {DOOR} verify {target} --against {against}{seeded} --sequence {sequence.number}"


def failed_lines(failed: Failed) -> Iterator[str]:
    """A history that cannot have happened: its calls in the order of their beginning, and where every order ends."""
    yield f"a history in mode {failed.mode} (window {failed.number}) is not strictly serialisable"
    order = sorted(failed.history, key=lambda each: each.start)
    began = order[0].start if order else 0.0
    placed = set(map(id, failed.verdict.reached))
    for each in order:
        until = f"{(each.end - began) * 1000:9.2f}" if each.known else "  unknown"
        yield f"  {(each.start - began) * 1000:9.2f} .. {until} ms {'' if id(each) in placed else '! '}{each}"
    yield "  in the longest order that was found all but those with ! have their place; next would be:"
    yield from (f"    {each}" for each in failed.verdict.stuck)
