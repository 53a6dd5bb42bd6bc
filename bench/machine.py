"""The machine that something was measured on, and the CPU time of processes on it."""

import os
import platform
from pathlib import Path
from typing import Any

import psutil


def describe() -> dict[str, Any]:
    """What to print beside every figure."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def line(facts: dict[str, Any]) -> str:
    """For people."""
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']},"
        f" Python {facts['python']}; load average {facts['load_average']} when this began"
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of everything that it started, ended children included."""
    total = 0.0
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
        if process.pid == pid:
            total += times.children_user + times.children_system
    return total


def pss_mib(pid: int, *, children: bool = True) -> float:
    """MiB of a process's proportional share of memory (RSS where the system has none), with all that it started."""
    root = psutil.Process(pid)
    total = 0
    for process in [root, *(root.children(recursive=True) if children else [])]:
        try:
            size = process.memory_full_info()
        except psutil.NoSuchProcess:
            continue
        total += getattr(size, "pss", size.rss)
    return total / 2**20


def backend_seconds(pids: dict[int, str]) -> dict[str, float]:
    """CPU time of PostgreSQL's backends, summed by the name that each is given."""
    spent: dict[str, float] = {}
    for pid, name in pids.items():
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent[name] = spent.get(name, 0.0) + times.user + times.system
    return spent
