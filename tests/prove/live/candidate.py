"""A candidate in a process of its own: ``candidate.py ADDRESS``. Says ``ready`` once it answers."""

import asyncio
import os
import resource
import sys
from typing import Any

import probe_proto.v1.probe_pb2  # noqa: F401 - registers the contract
from probes import Answers, server

from tricorn.telemetry import CallStats
from tricorn.v1 import stats_pb2
from tricorn.v1.stats_tricorn import StatsServiceBase
from tricorn.wire import Call, GrpcServer, Service


class Stats(StatsServiceBase):
    def __init__(self, stats: CallStats) -> None:
        self._stats = stats

    async def get_process_stats(self, request: Any, call: Call) -> stats_pb2.ProcessStats:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        answer = stats_pb2.ProcessStats(
            process="candidate", pid=os.getpid(), cpu_seconds=usage.ru_utime + usage.ru_stime
        )
        for figures in self._stats.snapshot():
            if figures.service.startswith("probe."):
                answer.services.add(service=figures.service, implementation="rust", calls=figures.calls)
        return answer


async def main() -> None:
    stats = CallStats()
    service = Service(stats, "rust")
    service.add(server(Answers()))
    service.add(Stats(stats))
    grpc = GrpcServer(service, sys.argv[1])
    await grpc.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main())
