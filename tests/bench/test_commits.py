"""Commits that `bench` slows down."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "system"))

import commits
import reservations

from tricorn.data.postgres import EmbeddedPostgres


async def test_whoever_commits_waits_as_long_as_is_said(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    server.start()
    try:
        database = server.admin_url()

        await commits.slow_down(database, 40_000)
        slowed = await commits.lone_commit_ms(database, 2)

        assert slowed >= 40
    finally:
        server.stop()


def test_a_ratio_is_to_those_who_had_the_same_commits() -> None:
    usual = {"p50": 1.0, "p99": 2.0, "process_us": 0.0, "postgres_us": 30.0, "client_us": 20.0, "failures": 0}
    rates = {
        0: {"go by gRPC": 9000.0, "for-update": 1000.0, "conditional": 2000.0},
        4: {"go by gRPC": 8000.0, "for-update": 200.0, "conditional": 250.0},
    }
    tables = [
        {
            "slowerMs": slower,
            "commitMs": 0.3 + slower,
            "loads": {"one product": {way: {**usual, "rate": rate} for way, rate in each.items()}},
        }
        for slower, each in rates.items()
    ]
    found = {"inventory": "go", "fsync": {"p50Ms": 0.1, "p95Ms": 0.2}, "cores": 2, "tables": tables, "orders": {}}

    said = reservations.lines(found)

    rows = [line.split()[3:5] for line in said if line.startswith("  go by gRPC")]
    assert rows == [["9.0", "4.5"], ["40.0", "32.0"]]
    assert [line for line in said if "by itself" in line] == [
        "This disk: one commit by itself takes 0.30 ms",
        "Commits 4 ms slower, for all of them: one commit by itself takes 4.30 ms",
    ]
