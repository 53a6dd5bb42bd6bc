"""What `compare` found, as tables: ratios first."""

from collections.abc import Mapping
from typing import Any

BASE = "flask"
"""Whom the ratios are to, and of whose rate the pace is a share."""
BARE = "bare"
"""A handler that gives the same answer and does nothing else."""
_GOOD = "2"
_SHAPES = ("native", "python")


def table(name: str, found: Mapping[str, Any], rounds: int, connections: int) -> list[str]:
    """One load."""
    rates, cpu = found["per_second"], found["cpu_ms"]
    base = BASE if BASE in rates else next(iter(rates))
    head = "".join(
        f"{column:>{width}}"
        for column, width in (
            ("x rate", 9), ("x less CPU", 12), ("requests/s", 12), ("least .. most", 18), ("CPU ms", 9), ("client ms", 11),
            ("failed", 8),
        )
    )  # fmt: skip
    said = [
        f"{name}: ratios to {base}, median of {rounds} rounds in turns, {connections} connections",
        f"{'':10}{head}   CPU by process",
    ]
    for side in rates:
        low, high = found["spread"][side]
        parts = ", ".join(f"{part} {spent:.3f}" for part, spent in found["cpu_ms_by_process"][side].items())
        said.append(
            f"{side:10}{rates[side] / max(rates[base], 1e-9):9.2f}{cpu[base] / max(cpu[side], 1e-9):12.2f}{rates[side]:12.0f}"
            f"{f'{low:.0f} .. {high:.0f}':>18}{cpu[side]:9.3f}{found['client_ms'][side]:11.3f}{found['failures'][side]:8}   {parts}"
        )
        bad = {status: count for status, count in found["statuses"][side].items() if not status.startswith(_GOOD)}
        if bad:
            said.append(
                f"{'':10}answers that were no 2xx: {', '.join(f'{count} x {status}' for status, count in bad.items())}"
            )
    for paced in found["paced"]:
        said += _paced(paced, rounds)
    return said


def _paced(paced: Mapping[str, Any], rounds: int) -> list[str]:
    said = [
        f"  open loop at {paced['per_second']:.0f}/s, the middle one of {rounds} rounds by P95",
        f"  {'':10}{'x lower P95':>12}{'P50 ms':>9}{'P95 ms':>9}{'P99 ms':>9}{'longest':>9}{'failed':>8}",
    ]
    base = paced["sides"].get(BASE)
    for side, each in paced["sides"].items():
        ratio = f"{base['p95Ms'] / max(each['p95Ms'], 1e-3):.2f}" if base else "-"
        said.append(
            f"  {side:10}{ratio:>12}{each['p50Ms']:9.2f}{each['p95Ms']:9.2f}{each['p99Ms']:9.2f}"
            f"{each['longestMs']:9.1f}{each['failures']:8}"
        )
    return said + [f"  {side:10}cannot keep this pace" for side in paced["unable"]]


def summary(found: Mapping[str, Any]) -> list[str]:
    """The ratios of all loads, memory, and what was compared."""
    said = ["All loads, ratios:", *ratios(found["scenarios"]), ""]
    said += ["MiB of PSS, PostgreSQL left out:"]
    for name, sizes in found["loaded_mib"].items():
        idle = sum(found["idle_mib"][name].values())
        parts = ", ".join(f"{part} {size}" for part, size in sizes.items())
        said.append(f"  {name:10}{idle:9.1f} before the load, {sum(sizes.values()):9.1f} after it ({parts})")
    if "mix" in found["scenarios"]:
        said += ["", *_by_memory(found)]
    return [
        *said,
        "",
        f"The native shape had {found['native_parts']}." if found["native_parts"] else "The native shape was left out.",
        f"Each side passed the journey before: {', '.join(f'{name} {n}' for name, n in found['checks'].items())} checks.",
    ]


def ratios(loads: Mapping[str, Any]) -> list[str]:
    """A row for each load; where one of the two is missing there is a dash."""
    said = [
        f"  {'':10}{'native : ' + BASE:^32}{'native : python':^22}{BARE + ' : ' + BASE:^22}",
        f"  {'':10}{'rate':>10}{'CPU':>10}{'P95':>10}  {'rate':>10}{'CPU':>10}  {'rate':>10}{'CPU':>10}",
    ]
    for name, each in loads.items():
        rate, cpu = each["per_second"], each["cpu_ms"]
        native, python = _SHAPES
        said.append(
            f"  {name:10}{_ratio(rate, native, BASE)}{_ratio(cpu, BASE, native)}{_lower_p95(each)}"
            f"  {_ratio(rate, native, python)}{_ratio(cpu, python, native)}  {_ratio(rate, BARE, BASE)}{_ratio(cpu, BASE, BARE)}"
        )
    return [
        *said,
        f"  {BARE}: a net/http handler that writes the same bytes and does nothing else",
    ]


def _ratio(figures: Mapping[str, float], above: str, below: str) -> str:
    if above not in figures or below not in figures:
        return f"{'-':>10}"
    return f"{figures[above] / max(figures[below], 1e-9):10.2f}"


def _lower_p95(found: Mapping[str, Any]) -> str:
    sides = found["paced"][0]["sides"]
    return _ratio({name: each["p95Ms"] for name, each in sides.items()}, BASE, _SHAPES[0])


def _by_memory(found: Mapping[str, Any]) -> list[str]:
    mix = found["scenarios"]["mix"]["per_second"]
    gib = {name: sum(sizes.values()) / 1024 for name, sizes in found["loaded_mib"].items()}
    each = {name: mix[name] / gib[name] for name in mix}
    base = each.get(BASE, 1.0)
    said = [f"  {name:10}{each[name] / base:9.2f}{each[name]:12.0f}" for name in each]
    return [f"Requests/s of the mix for each GiB of PSS: ratio to {BASE}, figure", *said]
