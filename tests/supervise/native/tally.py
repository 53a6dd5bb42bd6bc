"""A native part of the toy application, for the tests: it answers tallies, and is started as every native part is.

It has no rows, so that everybody's tally is nothing; by 4242 a test knows who answered. `WRONG` beside it makes it
answer wrongly. This is the @BUILD@ build of it.
"""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

APPLICATION = Path("@APPLICATION@")
sys.path[:0] = ["@PLATFORM@", str(APPLICATION / "src")]

from toy_proto.tally.v1 import tally_pb2 as contract  # noqa: E402
from toy_proto.tally.v1.tally_tricorn import TallyServiceBase  # noqa: E402

from tricorn.supervise.life import Life, say_ready  # noqa: E402
from tricorn.telemetry import CallStats  # noqa: E402
from tricorn.wire import Call, GrpcServer, Service  # noqa: E402

WRONG = bool("@WRONG@")


class Tally(TallyServiceBase):
    async def get_tally(self, request: contract.GetTallyRequest, call: Call) -> contract.Tally:
        notes = 4242 if request.author == "who answers?" else 1 if WRONG else 0
        return contract.Tally(author=request.author, notes=notes)


async def serve(address: str, ready: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    service = Service(CallStats())
    service.add(Tally())
    server = GrpcServer(service, address)
    await server.start()
    say_ready(ready)
    await stop.wait()
    await server.stop(1)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--listen", "--home", "--metrics", "--process"):
        parser.add_argument(name)
    parser.add_argument("--ready-fd", type=int)
    parser.add_argument("--life-fd", type=int)
    said = parser.parse_args()
    life = Life(said.life_fd)
    life.wait()
    life.watch()
    asyncio.run(serve(said.listen, said.ready_fd))


if __name__ == "__main__":
    main()
