"""A small contract, answered by functions that a test sets: once as the reference, once as the candidate."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tricorn.contract import codegen
from tricorn.telemetry import CallStats
from tricorn.wire import Call, Endpoints, Service, Wire
from tricorn.wire.local import LocalChannel
from tricorn.wire.route import Channel

ADD, GET, PUT, SNEAK = (f"probe.v1.ProbeService/{name}" for name in ("Add", "Get", "Put", "Sneak"))
CONTRACT = "probe.v1.ProbeService"


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the generated code, which can be imported."""
    return generate(tmp_path_factory.mktemp("probe"))


def generate(folder: Path) -> Path:
    source = codegen.Source(Path(__file__).parent / "proto", "probe", "probe_proto", folder / "probe_proto")
    codegen.generate(source)
    sys.path.insert(0, str(folder))
    import probe_proto.v1.probe_pb2  # noqa: F401, PLC0415 - made by the line above; registers the contract

    return folder


def messages() -> Any:
    from probe_proto.v1 import probe_pb2  # noqa: PLC0415

    return probe_pb2


def server(answers: "Answers") -> Any:
    """A server of the contract that answers by ``answers``."""
    from probe_proto.v1.probe_tricorn import ProbeServiceBase  # noqa: PLC0415

    class Server(ProbeServiceBase):  # type: ignore[misc]
        async def add(self, request: Any, call: Call) -> Any:
            return await answers.add(request)

        async def get(self, request: Any, call: Call) -> Any:
            return await answers.get(request)

        async def put(self, request: Any, call: Call) -> Any:
            answers.put.append(request)
            return messages().PutResponse(value=request.value)

        async def sneak(self, request: Any, call: Call) -> Any:
            await answers.calls.call(PUT, messages().PutRequest(name=request.name))
            return messages().GetResponse(value="sneaked")

    return Server()


class Answers:
    """How an implementation behaves; a test changes what it needs. ``delay`` is in seconds."""

    def __init__(self) -> None:
        self.calls: Any = None
        self.put: list[Any] = []
        self.values: dict[str, str] = {}
        self.asked = 0
        self.delay = 0.0
        self.change: Callable[[Any, Any], Any] = lambda _, answer: answer

    async def add(self, request: Any) -> Any:
        self.asked += 1
        if self.delay:
            await asyncio.sleep(self.delay)
        answer = messages().AddResponse(sum=sum(request.numbers), taken_nanos=self.asked)
        for index in range(len(request.numbers)):
            answer.steps.add(so_far=sum(request.numbers[: index + 1]))
        return self.change(request, answer)

    async def get(self, request: Any) -> Any:
        self.asked += 1
        answer = messages().GetResponse(value=self.values.get(request.name, ""), token="s3cret")
        return self.change(request, answer)


class Two:
    """The reference and a candidate, both in this process, and a wire that answers with the one that ``bound`` names."""

    def __init__(self) -> None:
        self.reference, self.candidate = Answers(), Answers()
        self.bound = "python"
        self.channels: dict[str, Channel] = {}
        for name, answers in (("python", self.reference), ("rust", self.candidate)):
            service = Service(CallStats(), name)
            service.add(server(answers))
            answers.calls = Wire(Endpoints(service))
            self.channels[name] = LocalChannel(service)

    def reach(self, policy: Any, implementation: str) -> Channel:
        return self.channels[implementation]

    def route(self, policy: Any, request: Any) -> Any:
        from tricorn.wire.route import Route  # noqa: PLC0415

        return Route(self.channels[self.bound], self.bound)
