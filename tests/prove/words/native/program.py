"""What stands for a program in another language: it answers the words contract from a process of its own.

It does what ``fault.json`` of its home says: ``slow`` (seconds to wait), ``gone`` (calls that it is unavailable for, per mille), ``wrong``
(answers that are wrong, per mille).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from tricorn.contract import PlatformReason, Refusal
from tricorn.host import load_manifest
from tricorn.supervise.life import Life, say_ready
from tricorn.telemetry import CallStats
from tricorn.wire import Call, GrpcServer, Service


def make_server(home: Path) -> Any:
    from toy_proto.words.v1 import words_pb2 as contract  # noqa: PLC0415 - importable once the application is active
    from toy_proto.words.v1.words_tricorn import WordsServiceBase  # noqa: PLC0415

    class WordsServer(WordsServiceBase):
        calls = kept = 0

        async def count_words(self, request: contract.CountWordsRequest, call: Call) -> contract.CountWordsResponse:
            fault = json.loads((home / "fault.json").read_text()) if (home / "fault.json").exists() else {}
            self.calls += 1
            await asyncio.sleep(fault.get("slow", 0))
            if self.calls * fault.get("gone", 0) % 1000 < fault.get("gone", 0):
                raise Refusal(PlatformReason.UNAVAILABLE, "the program lost its way")
            wrong = self.calls * fault.get("wrong", 0) % 1000 < fault.get("wrong", 0)
            return contract.CountWordsResponse(words=len(request.text.split()) + wrong)

        async def keep_word(self, request: contract.KeepWordRequest, call: Call) -> contract.KeepWordResponse:
            self.kept += 1
            return contract.KeepWordResponse(kept=self.kept)

    return WordsServer()


async def serve(said: argparse.Namespace) -> None:
    load_manifest(said.app).activate()
    service = Service(CallStats(), "rust")
    service.add(make_server(said.home))
    server = GrpcServer(service, said.listen)
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if said.ready_fd is not None:
        say_ready(said.ready_fd)
    await stop.wait()
    await server.stop(2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--app", type=Path, required=True)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--metrics", required=True)
    parser.add_argument("--process", default="")
    parser.add_argument("--ready-fd", type=int)
    parser.add_argument("--life-fd", type=int)
    said = parser.parse_args(sys.argv[1:])
    if said.life_fd is not None:
        life = Life(said.life_fd)
        life.wait()
        threading.Thread(target=life.watch, daemon=True).start()
    asyncio.run(serve(said))


if __name__ == "__main__":
    main()
