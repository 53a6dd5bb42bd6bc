"""What was measured, as tables to read."""

from typing import Any

_LEAST_SHOWN_MS = 0.005


def machine(facts: dict[str, Any]) -> None:
    print(
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']},"
        f" Python {facts['python']}; load average {facts['load_average']} when this began"
    )


def wire(found: dict[str, float]) -> None:
    print(
        f"\nAn in-process wire call adds {found['added_us']} us to a plain call"
        f" ({found['wire_us']} instead of {found['plain_us']})."
    )


def head() -> None:
    columns = ("requests/s", "CPU ms", "shop", "postgres", "at half", "P50 ms", "P95 ms", "P99 ms", "failed")
    print(f"\n{'':10}" + "".join(f"{column:>11}" for column in columns))


def scenario(name: str, found: dict[str, Any]) -> None:
    spent = found["cpu_ms_by_process"]
    figures = (
        found["requests_per_second"], found["cpu_ms"], spent.get("shop", 0.0), spent.get("postgres", 0.0),
        found["paced_per_second"], found["p50_ms"], found["p95_ms"], found["p99_ms"], found["failures"],
    )  # fmt: skip
    print(f"{name:10}" + "".join(f"{figure:11}" for figure in figures), flush=True)


def memory(found: dict[str, float]) -> None:
    print("\nMiB of PSS after the load: " + ", ".join(f"{name} {size}" for name, size in found.items()))


def one_order(found: dict[str, Any], profile: dict[str, Any]) -> dict[str, float]:
    """Prints and returns where the CPU of an order goes, in ms: the shop's by room, PostgreSQL's by context.

    The profile says how the shop's time is shared out, not how much it is: profiling makes all of it slower.
    """
    shop = found["cpu_ms_by_process"].get("shop", 0.0)
    parts = {f"shop: {room}": round(shop * share / 100, 3) for room, share in profile["percent"].items()}
    parts |= {f"postgres: {name}": spent for name, spent in found["cpu_ms_by_backend"].items()}
    parts = {part: spent for part, spent in parts.items() if spent >= _LEAST_SHOWN_MS}
    print(f"\nWhere the {found['cpu_ms']} ms of CPU of one order go:")
    for part, spent in parts.items():
        print(f"  {spent:7.3f} ms  {part}")
    return parts


def profile(found: dict[str, Any]) -> None:
    print(f"\nWhere the shop's own time goes in the mix, of {found['requests']} requests, in per cent:")
    for room, share in found["percent"].items():
        print(f"  {share:5.1f}  {room}")
