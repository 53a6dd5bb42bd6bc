#!/usr/bin/env python3
"""Stands in for a native part: its command line, its two pipes, and the contract of sums."""

import argparse
import asyncio
import json
import os
import sys

parser = argparse.ArgumentParser()
for option in ("--listen", "--home", "--metrics", "--process"):
    parser.add_argument(option)
parser.add_argument("--ready-fd", type=int)
parser.add_argument("--life-fd", type=int)
said = parser.parse_args()
json.loads(os.fdopen(said.life_fd, "rb", closefd=False).readline())
sys.path[:0] = os.environ["QUIZ_PATH"].split(os.pathsep)

from quiz.sums.server import SumsServer  # noqa: E402 - found through the line above

from tricorn.telemetry import CallStats  # noqa: E402
from tricorn.wire import GrpcServer, Service  # noqa: E402


class Adder(SumsServer):
    async def add(self, request: object, call: object) -> object:
        answer = await super().add(request, call)
        answer.sum += int(os.environ.get("QUIZ_WRONG", "0")) if answer.sum > 500 else 0
        return answer


async def main() -> None:
    service = Service(CallStats(), "rust")
    service.add(Adder())
    server = GrpcServer(service, said.listen)
    await server.start()
    os.write(said.ready_fd, b"ready\n")
    await asyncio.Event().wait()


asyncio.run(main())
