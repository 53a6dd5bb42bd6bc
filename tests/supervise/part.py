"""A native part for the tests: speaks the command line of one and answers health.

While the file that `--fail` names is there, a start of it ends at once.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import signal
import sys
from pathlib import Path

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tricorn.supervise.life import Life, say_ready


async def serve(address: str, ready: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    # of the asyncio kind: the other one's `stop` does not always end when it comes right after `start`
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    await server.start()
    say_ready(ready)
    await stop.wait()
    await server.stop(1)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--metrics")
    parser.add_argument("--process")
    parser.add_argument("--ready-fd", type=int)
    parser.add_argument("--life-fd", type=int)
    parser.add_argument("--fail", type=Path)
    parser.add_argument("--journal", type=Path)
    said = parser.parse_args()
    life = Life(said.life_fd)
    life.wait()
    life.watch()
    if said.fail is not None and said.fail.exists():
        sys.stderr.write("the part cannot find its key\n")
        return 4
    path = Path(said.listen.removeprefix("unix:"))
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path.unlink(missing_ok=True)
        asyncio.run(serve(said.listen, said.ready_fd))
    if said.journal is not None:
        with said.journal.open("a") as journal:
            journal.write(f"{sys.argv[0]} {os.getpid()} ended\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
