"""Plays cases against an implementation and says where the answers are not the expected ones."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from google.protobuf import json_format
from google.protobuf.message import Message

from tricorn.conformance.cases import Case
from tricorn.conformance.gaps import Gap
from tricorn.contract import Refusal, service_policies
from tricorn.contract.compare import differences
from tricorn.data import Database
from tricorn.data.server import Server
from tricorn.host import Process
from tricorn.host.testing import running
from tricorn.telemetry import CallStats
from tricorn.wire import Endpoints, Service, Wire, call_scope

CASE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case: ``findings`` is empty when it passed. ``gap`` is the known gap that it is listed as."""

    case: Case
    findings: tuple[str, ...]
    gap: Gap | None = None

    @property
    def passed(self) -> bool:
        """Met its expectation; a known gap meets it by failing."""
        return (not self.findings) == (self.gap is None)


class Target(Protocol):
    """An implementation under test."""

    name: str

    def answers(self, case: Case) -> Any:
        """An async context manager: how calls reach the implementation, its state being the case's."""
        ...


class InProcess:
    """The Python implementation in this process, on a cloned database with the case's rows."""

    name = "python"

    def __init__(self, server: Server, application: Path) -> None:
        self._server = server
        self._application = application

    @asynccontextmanager
    async def answers(self, case: Case) -> AsyncIterator[Wire]:
        async def fill(admin: Database) -> None:
            await load_state(admin, case.state)

        async with running(self._server, self._application, case.contexts, prepare=fill) as app:
            yield app.process.wire


class OverSocket:
    """The Python implementation behind gRPC on a unix socket, on a cloned database with the case's rows."""

    name = "python-grpc"

    def __init__(self, server: Server, application: Path) -> None:
        self._server = server
        self._application = application

    @asynccontextmanager
    async def answers(self, case: Case) -> AsyncIterator[Wire]:
        async def fill(admin: Database) -> None:
            await load_state(admin, case.state)

        async with AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tc"))
            address = f"unix:{folder}/s"
            app = await stack.enter_async_context(
                running(self._server, self._application, case.contexts, prepare=fill, listen=address)
            )
            yield await stack.enter_async_context(_remote(app.process, address))


class AtAddress:
    """Whatever answers gRPC at an address. Only for cases without state."""

    def __init__(self, address: str) -> None:
        self.name = address
        self._address = address

    @asynccontextmanager
    async def answers(self, case: Case) -> AsyncIterator[Wire]:
        if case.state:
            message = f"{case.id}: has state, and the rows of {self._address} are not ours to change"
            raise ValueError(message)
        async with _remote(None, self._address, case.policy.service) as wire:
            yield wire


@asynccontextmanager
async def _remote(process: Process | None, address: str, service: str = "") -> AsyncIterator[Wire]:
    services = [service] if process is None else process.service.services
    endpoints = Endpoints(Service(CallStats()), {name: [address] for name in services})
    try:
        yield Wire(endpoints)
    finally:
        await endpoints.close()


async def play(case: Case, target: Target, gaps: Iterable[Gap] = ()) -> Outcome:
    """Plays one case."""
    gap = next((gap for gap in gaps if gap.case == case.id and gap.implementation == target.name), None)
    async with asyncio.timeout(CASE_SECONDS), target.answers(case) as wire:
        with call_scope(identity=case.caller, timeout=CASE_SECONDS, metadata=case.metadata):
            findings = await _findings(case, wire)
    return Outcome(case, tuple(findings), gap)


async def _findings(case: Case, wire: Wire) -> list[str]:
    try:
        answers = await _ask(case, wire)
    except Refusal as refusal:
        return _compare_refusal(case, refusal)
    if case.error is not None:
        return [
            f"expected {case.error.reason}, got the answer {_text(answers[0]) if answers else 'of an empty stream'}"
        ]
    if len(answers) != len(case.responses):
        return [f"expected {len(case.responses)} answers, got {len(answers)}"]
    found = [difference for pair in zip(case.responses, answers, strict=True) for difference in differences(*pair)]
    return [str(difference) for difference in found if difference.path.partition(".")[0] not in case.ignore]


async def _ask(case: Case, wire: Wire) -> list[Message]:
    if not case.policy.server_streaming:
        return [await wire.invoke(case.policy, case.request)]
    answers = []
    async for answer in wire.open_stream(case.policy, case.request):
        answers.append(answer)
        if len(answers) == len(case.responses):
            break
    return answers


def _compare_refusal(case: Case, refusal: Refusal) -> list[str]:
    if case.error is None:
        return [f"expected an answer, got {refusal}"]
    findings = []
    if refusal.reason != case.error.reason:
        findings.append(f"expected {case.error.reason}, got {refusal}")
    fields = tuple(sorted({violation.field for violation in refusal.violations}))
    if case.error.violations and fields != tuple(sorted(set(case.error.violations))):
        findings.append(
            f"expected broken rules of {', '.join(case.error.violations)}, got {', '.join(fields) or 'none'}"
        )
    for key, value in case.error.metadata.items():
        if refusal.metadata.get(key) != value:
            findings.append(f"expected metadata {key}={value}, got {refusal.metadata.get(key)}")
    return findings


async def load_state(admin: Database, state: dict[str, list[dict[str, Any]]]) -> None:
    """Puts a case's rows in, in the order of the file, each value converted by the database to its column's type."""
    async with admin.transaction() as connection:
        # What a case gives is what there is: triggers and foreign keys of other tables stay out of it.
        await connection.execute("SET LOCAL session_replication_role = replica")
        for table, rows in state.items():
            for row in rows:
                computed = {
                    name: value["sql"] for name, value in row.items() if isinstance(value, dict) and "sql" in value
                }
                given = {name: value for name, value in row.items() if name not in computed}
                columns = ", ".join(f'"{name}"' for name in (*given, *computed))
                values = ", ".join([*(f'r."{name}"' for name in given), *computed.values()])
                await connection.execute(
                    f"INSERT INTO {table} ({columns}) SELECT {values} FROM json_populate_record(NULL::{table}, $1::json) r",
                    json.dumps(given),
                )


def unreached(cases: Sequence[Case], services: Iterable[str]) -> list[str]:
    """The methods of some contracts that no case reaches."""
    reached = {case.policy.full_name for case in cases}
    return [
        policy.full_name
        for service in services
        for policy in service_policies(service)
        if policy.full_name not in reached
    ]


def _text(message: Message) -> str:
    return json_format.MessageToJson(message, indent=None)
