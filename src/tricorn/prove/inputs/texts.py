"""Makers of strings and bytes."""

import random
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from tricorn.prove.inputs.draws import Draws
from tricorn.prove.inputs.formats import FORMATS, format_check
from tricorn.prove.inputs.rules import Rules
from tricorn.prove.inputs.scope import Scope, Shared

_WORDS = ("a", "b", "film", "x", "war", "drama", "SPRING", "A", "Z", "0", "10", "9", "é", "ß", "Ω", "漢字", "🎬", "e\u0301",
          "שלום", " ", "a b", "-", "_", "~", "'", '"', "\\", "/", "%", "null", "\u00a0", "\u200b", "\uffff", "\U0010ffff", "\x00", "\n", "İ", "ı",
          "ﬁ")  # fmt: skip
"""Among them what sorts, folds and counts otherwise in some languages than in others."""

_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789"
_USUAL_LENGTH = 12
_LONGEST_BYTES = 300
_TRIES = 8


def text_maker(descriptor: FieldDescriptor, rules: Rules) -> Callable[[Scope], str]:
    """Strings for a field."""
    said: Any = rules.said
    if said is None:
        return _named(descriptor.name, _anything, lambda draws: _text(draws, 0, _USUAL_LENGTH))
    format_ = said.WhichOneof("well_known")
    if format_ in FORMATS:
        return _named(descriptor.name, format_check(format_), FORMATS[format_], zero=rules.zero_is_free)
    fits = _check(said, frozenset(rules.refused))
    if said.HasField("pattern"):
        pool = _matching(said.pattern)
        fitting = [value for value in pool if fits(value)] or pool
        return lambda scope: scope.draws.pick(fitting)
    low, high = _lengths(said)
    before, after = str(said.prefix), str(said.contains + said.suffix)
    least, most = max(0, low - len(before) - len(after)), max(0, high - len(before) - len(after))

    def make(draws: Draws) -> str:
        for _ in range(_TRIES):
            value = before + _text(draws, least, most) + after
            if fits(value):
                return value
        return before + "x" * least + after

    return _named(descriptor.name, fits, make, zero=rules.zero_is_free)


def _named(
    name: str, fits: Callable[[Any], bool], make: Callable[[Draws], str], *, zero: bool = False
) -> Callable[[Scope], str]:
    shared = Shared(name, str, fits, make)
    may_be_empty = (zero or fits("")) and not name.endswith("id")

    def draw(scope: Scope) -> str:
        return "" if may_be_empty and scope.draws.chance(25) else str(shared.draw(scope))

    return draw


def _anything(value: Any) -> bool:
    return True


def _lengths(said: Any) -> tuple[int, int]:
    """In characters; for limits in bytes the same ones, for what is drawn is mostly of one byte each."""
    low, high = 0, 1 << 20
    if said.HasField("len"):
        low = high = said.len
    if said.HasField("len_bytes"):
        low = high = said.len_bytes
    low = max(low, said.min_len, said.min_bytes if not said.min_len else 0)
    for limit in ("max_len", "max_bytes"):
        if said.HasField(limit):
            high = min(high, getattr(said, limit))
    return low, max(low, high)


def _check(said: Any, refused: frozenset[str]) -> Callable[[Any], bool]:
    """Whether a string keeps to the rules that can be drawn for; only those that are there cost anything."""
    least, most = said.min_len, said.max_len if said.HasField("max_len") else 1 << 40
    if said.HasField("len"):
        least = most = said.len
    checks: list[Callable[[str], bool]] = []
    if said.HasField("len_bytes") or said.HasField("min_bytes") or said.HasField("max_bytes"):
        exact, fewest = said.len_bytes if said.HasField("len_bytes") else None, said.min_bytes
        highest = said.max_bytes if said.HasField("max_bytes") else 1 << 40
        checks.append(lambda value: fewest <= len(value.encode()) <= highest)
        checks.append(lambda value: exact is None or len(value.encode()) == exact)
    if said.prefix or said.suffix or said.contains:
        start, end, within = said.prefix, said.suffix, said.contains
        checks.append(lambda value: value.startswith(start) and value.endswith(end) and within in value)
    if said.HasField("not_contains"):
        without = said.not_contains
        checks.append(lambda value: without not in value)
    if refused:
        checks.append(lambda value: value not in refused)
    if not checks:
        return lambda value: least <= len(value) <= most
    return lambda value: least <= len(value) <= most and all(check(value) for check in checks)


def _text(draws: Draws, low: int, high: int) -> str:
    how = draws.between(0, 99)
    if how < 4 and high <= _LONGEST_BYTES:
        length = high
    elif how < 10:
        length = low
    else:
        length = min(high, low + draws.between(0, _USUAL_LENGTH))
    if how >= 70:
        text = draws.pick(_WORDS)
        while len(text) < length and draws.chance(60):
            text += draws.pick(_WORDS)
        text = text[: max(length, 1 if high else 0)]
    else:
        text = f"{_PLAIN[draws.between(0, 25)]}{draws.between(0, 999)}"[: max(length, 1) if high else 0]
    return text if len(text) >= low else text + _PLAIN[draws.between(0, 25)] * (length - len(text))


@cache
def _matching(pattern: str) -> tuple[str, ...]:
    """Strings that match a pattern, found by Hypothesis once."""
    from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415 - only where a rule has a pattern
    from hypothesis import strategies as st  # noqa: PLC0415

    found: dict[str, None] = {}

    @settings(
        max_examples=60,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.from_regex(pattern))
    def collect(value: str) -> None:
        found[value.removesuffix("\n")] = None

    collect()
    return tuple(found)


def bytes_maker(rules: Rules) -> Callable[[Scope], bytes]:
    """Bytes for a field."""
    said = rules.said
    low, high, before, after = 0, _LONGEST_BYTES, b"", b""
    if said is not None:
        format_ = said.WhichOneof("well_known")
        if format_ in _BYTE_FORMATS:
            size = _BYTE_FORMATS[format_]
            return lambda scope: _random_bytes(scope.draws, size)
        low, high = said.min_len, said.max_len if said.HasField("max_len") else _LONGEST_BYTES
        if said.HasField("len"):
            low = high = said.len
        before, after = said.prefix, said.contains + said.suffix

    def make(scope: Scope) -> bytes:
        draws = scope.draws
        how = draws.between(0, 99)
        if how < 3:
            length = high
        elif how < 10:
            length = low
        else:
            length = min(high, low + (1 << draws.between(0, 8)) - 1)
        middle = max(0, length - len(before) - len(after))
        if how >= 80:
            return before + draws.pick((b"\0", b"\xff", b"\x80", b"a")) * middle + after
        return before + _random_bytes(draws, middle) + after

    return make


_BYTE_FORMATS = {"ip": 16, "ipv4": 4, "ipv6": 16, "uuid": 16}


def _random_bytes(draws: Draws, count: int) -> bytes:
    return random.Random(draws.between(0, (1 << 32) - 1)).randbytes(count)  # noqa: S311 - repeatable, not secret
