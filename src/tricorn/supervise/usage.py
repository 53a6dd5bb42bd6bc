"""How much memory processes hold, and how much they compute."""

from __future__ import annotations

from pathlib import Path

import psutil

_PSS = "Pss:"


def tree(pid: int) -> list[int]:
    """A process and all that descend from it; empty when it is gone."""
    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.Error:
        return []


def rss_bytes(pids: list[int]) -> int:
    """Resident memory; what processes share is counted for each."""
    total = 0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_info().rss
        except psutil.Error:
            continue
    return total


def pss_bytes(pids: list[int]) -> int | None:
    """Resident memory; a page that n processes share counts one n-th. None where the system has no such figure."""
    total: int | None = None
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        kilobytes = next((line.split()[1] for line in text.splitlines() if line.startswith(_PSS)), "0")
        total = (total or 0) + int(kilobytes) * 1024
    return total


def cpu_seconds(pids: list[int]) -> float:
    """What processes have computed so far, without those of their children that have ended."""
    total = 0.0
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total
