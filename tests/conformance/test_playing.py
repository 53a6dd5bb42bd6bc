"""What becomes of a case when something is wrong with the answer, with the implementation or with the case itself."""

import dataclasses
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tricorn.conformance import AsNative, Case, InProcess, load_cases, play
from tricorn.data import EmbeddedPostgres
from tricorn.host import load_manifest

AGORA = Path(__file__).resolve().parents[2] / "agora"
MANIFEST = load_manifest(AGORA)
MANIFEST.activate()
CASES = load_cases(MANIFEST, AGORA / "conformance")
WATCHED = next(case for case in CASES if case.policy.server_streaming and case.responses)
PRICED = next(case for case in CASES if case.policy.name == "PriceBasket" and case.responses)
SIGNED = next(case for case in CASES if case.exact)

# A program with the command line of a native part; what it serves is the Python implementation.
PROGRAM = """#!{python}
import argparse, asyncio, os, signal, sys
sys.path[:0] = {path}
from pathlib import Path
from tricorn.host import load_manifest
load_manifest(Path({agora!r})).activate()
from agora.payments.signing import KeyRing, SigningServer, keys_folder
from tricorn.telemetry import CallStats
from tricorn.wire import GrpcServer, Service

parser = argparse.ArgumentParser()
for name in ("--listen", "--home", "--metrics", "--process"):
    parser.add_argument(name)
for name in ("--ready-fd", "--life-fd"):
    parser.add_argument(name, type=int)
said = parser.parse_args()
{first}

async def serve():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    service = Service(CallStats())
    service.add(SigningServer(KeyRing(keys_folder(Path(said.home) / "contexts" / "payments"))))
    server = GrpcServer(service, said.listen)
    await server.start()
    os.read(said.life_fd, 4096)
    os.write(said.ready_fd, b"ready\\n")
    await stop.wait()
    await server.stop(1)

asyncio.run(serve())
"""


class Chatty:
    """Answers a stream with what is expected, and once more."""

    name = "chatty"

    @asynccontextmanager
    async def answers(self, case: Case) -> AsyncIterator[Any]:
        yield self

    async def open_stream(self, policy: object, request: object) -> AsyncIterator[Any]:
        for answer in (*WATCHED.responses, WATCHED.responses[-1]):
            yield answer


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the program that the native part `engine` is said to be built as; ``first`` is what it does first."""
    monkeypatch.setenv("TRICORN_BUILD_DIR", str(tmp_path))

    def make(first: str = "") -> AsNative:
        path = tmp_path / "engine" / MANIFEST.natives["engine"].binary
        path.parent.mkdir(parents=True)
        path.write_text(PROGRAM.format(python=sys.executable, path=sys.path, agora=str(AGORA), first=first))
        path.chmod(stat.S_IRWXU)
        return AsNative(MANIFEST, "rust", tmp_path)

    return make


async def test_an_answer_too_many_is_noticed() -> None:
    outcome = await play(WATCHED, Chatty())

    assert outcome.findings == ("expected 1 answers, got 2 or more",)


async def test_a_state_that_cannot_be_loaded_fails_its_own_case(postgres: EmbeddedPostgres) -> None:
    case = dataclasses.replace(WATCHED, state={"orders.nosuch": [{"x": 1}]})

    outcome = await play(case, InProcess(postgres, AGORA))

    assert not outcome.passed
    assert 'could not be played: UndefinedTableError: relation "orders.nosuch" does not exist' in outcome.findings[0]


async def test_a_field_that_a_case_knows_is_compared_though_its_contract_ignores_it(postgres: EmbeddedPostgres) -> None:
    answer = type(SIGNED.responses[0])()
    answer.CopyFrom(SIGNED.responses[0])
    answer.signature = bytes(64)  # type: ignore[attr-defined]

    outcome = await play(dataclasses.replace(SIGNED, responses=(answer,)), InProcess(postgres, AGORA))

    assert outcome.findings[0].startswith("signature: expected exactly")


async def test_a_native_part_is_started_and_finds_the_files_of_its_case(program: Any) -> None:
    signing = [case for case in CASES if case.policy.service == SIGNED.policy.service]

    async with program() as target:
        outcomes = [await play(case, target) for case in signing if target.implements(case)]

    assert len(outcomes) == len(signing)
    assert {outcome.case.id: outcome.findings for outcome in outcomes if not outcome.passed} == {}


async def test_a_native_part_that_ends_at_once_says_its_last_words(program: Any) -> None:
    async with program("sys.exit('no key, no signature')") as target:
        outcome = await play(SIGNED, target)

    assert outcome.findings[0].startswith("it could not be played: StartError: engine did not start")
    assert "no key, no signature" in outcome.findings[0]


async def test_a_native_part_is_gone_when_its_cases_are(program: Any, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    stateless = dataclasses.replace(SIGNED, files={}, exact=())

    async with program(f"Path({str(note)!r}).write_text(str(os.getpid()))") as target:
        await play(stateless, target)

        os.kill(int(note.read_text()), 0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


async def test_a_native_part_that_was_not_built_cannot_be_played(tmp_path: Path) -> None:
    async with AsNative(MANIFEST, "rust", tmp_path) as target:
        outcome = await play(PRICED, target)

    assert "engine is not built" in outcome.findings[0]
