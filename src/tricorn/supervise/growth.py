"""Native parts on their way: built, started, checked, and bound if the evidence fits; else left in Python, with the reason."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tricorn.host.targets import Target, short_name
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.keeper import Keeper
from tricorn.supervise.program import Program
from tricorn.supervise.tools import run_tool
from tricorn.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tricorn.supervise.child import Child, ProcessPlan
    from tricorn.supervise.keeper import Surroundings
    from tricorn.supervise.places import Places

_log = get_logger("tricorn.supervise")
_SAY_SECONDS = 20.0
_WAITING, _BUILDING, _STARTING = "waiting", "building", "starting"


@dataclass(frozen=True)
class PartPlan:
    """A native part of `tricorn.toml`.

    Args:
        process: what runs once it is built.
        build: the program that builds it.
        check: the program that says whether it may answer.
        contracts: what it answers.
        permit: the program that says whether a target of it may be cut over.
        word: what its process is told when it may begin, instead of what others are.
        methods: single methods that it answers where it is the gateway.
    """

    name: str
    language: str
    process: ProcessPlan
    build: ProcessPlan
    check: ProcessPlan
    permit: ProcessPlan
    contracts: tuple[str, ...]
    word: Callable[[], Mapping[str, Any]] | None = None
    methods: tuple[str, ...] = ()


class PartKeeper(Keeper):
    """Keeps a native part up. What was built anew meanwhile answers nobody before it was looked at."""

    def __init__(self, part: Part) -> None:
        super().__init__(part.plan.process, part.around, part.plan.word)
        self._part = part
        self._program: Program | None = None
        self._is_another = False

    @property
    def is_outdated(self) -> bool:
        return self._program is not None and self._program.is_outdated

    def spawn(self) -> Child:
        before, self._program = self._program, Program(Path(self.plan.command[0]))
        if before is not None and self._program.differs_from(before):
            self._is_another = True
            self._part.places.back(self._part.plan.contracts)
        return super().spawn()

    async def renew(self) -> None:
        if self.child is None or not self.is_outdated:
            return
        self.ready.clear()
        self._is_replaced = True
        await self.child.stop(self._around.limits.stop, self._around.hurry)  # whoever keeps it up starts it again
        seconds = self._around.limits.ready
        try:
            async with asyncio.timeout(seconds):
                await self.ready.wait()
        except TimeoutError as error:
            raise SuperviseError(
                f"{self.plan.name} was not ready again within {seconds:.0f} s",
                remedy=f"read why with `tricorn logs {self.plan.name}`",
            ) from error

    def _came_back(self) -> None:
        if self._is_another:
            self._is_another = False
            self._part.was_built_anew()


@dataclass
class Part:
    """One native part, and how far it is.

    Args:
        since: when the run began, by the monotonic clock.
        say: tells the operator a line.
    """

    plan: PartPlan
    around: Surroundings
    places: Places
    since: float
    say: Callable[[str], None]
    stage: str = _WAITING
    found: dict[str, str] = field(default_factory=dict)
    """Of each contract that was decided about: where it is on its way, in a few words."""
    doubts: dict[str, str] = field(default_factory=dict)
    """Of each contract that was looked at: why it is not shown to be the same, whoever bound it; empty when it is."""

    def __post_init__(self) -> None:
        self.keeper = self._keeper()
        self._started = asyncio.Event()
        self._another = asyncio.Event()
        self._one_check = asyncio.Lock()
        self._renewing = False

    def _keeper(self) -> Keeper:
        return PartKeeper(self)

    def describe(self) -> dict[str, Any]:
        """What the state file says about it."""
        return {
            "name": self.plan.name,
            "language": self.plan.language,
            "process": self.plan.process.name,
            "address": self.plan.process.address,
            "up": self.keeper.ready.is_set(),
            "stage": self.stage,
            "contracts": {contract: self.found.get(contract, self.stage) for contract in self.plan.contracts},
            "doubts": {contract: why for contract, why in self.doubts.items() if why},
        }

    @property
    def is_there(self) -> bool:
        """Whether it was built and is kept up, so that it can be looked at."""
        return self._started.is_set()

    @property
    def is_coming(self) -> bool:
        """Whether it is on its way, and will be looked at once it is there."""
        return self.stage in {_WAITING, _BUILDING, _STARTING}

    async def build(self) -> None:
        """Build it, if its sources changed.

        Raises:
            SuperviseError: it cannot be built.
        """
        self._at(_BUILDING)
        name, last = self.plan.name, 0.0

        def heard(line: Mapping[str, Any]) -> None:
            nonlocal last
            if "step" in line and time.monotonic() - last > _SAY_SECONDS:
                last = time.monotonic()
                self.say(f"building {name}" + (f": {line['step']}" if line["step"] else ""))
            if line.get("built"):
                self.say(f"{name} was built in {line['built']:.0f} s")

        await self._run(self.plan.build, self.around.limits.build, heard)

    async def start(self) -> None:
        """Start its process.

        Raises:
            SuperviseError: it does not start.
        """
        self._at(_STARTING)
        try:
            self.keeper.spawn()
            self.around.changed()
            await self.keeper.begin()
            self.places.arrived(self.plan.contracts, self.plan.language, self.plan.process.address)
        except SuperviseError:
            await self.keeper.stop(0)
            raise
        self._started.set()

    async def check(self) -> list[str]:
        """Play its cases, look at its evidence, and bind what is shown to be the same.

        Returns:
            A line for each contract that stays in Python although nobody chose that.
        """
        async with self._one_check:
            self._at("checking")
            try:
                stay = [line for each in await self._look() if (line := await self._judge(each))]
            except SuperviseError as error:
                stay = [self._refuse(contract, error.what, error.remedy) for contract in self.plan.contracts]
            self._at("up")
            return stay

    async def _look(self) -> list[Mapping[str, Any]]:
        """What its check says of each contract; of the program that runs, and not of one that it was built to meanwhile."""
        said: dict[str, Any] = {}
        program: Program | None = None
        while program is None or program.is_outdated:
            program = await asyncio.to_thread(Program, Path(self.plan.process.command[0]))
            await self._renew()
            await self._run(self.plan.check, self.around.limits.check, said.update)
        return list(said.get("checked", ()))

    async def come_or_look_again(self) -> list[str]:
        """Look at it as its sources are now: one that is not there is tried again, one that is on its way is looked at when it is there.

        Returns:
            As `check`.
        """
        if not self.is_there:
            return [] if self.is_coming else await grow([self])
        try:
            await self.build()
        except SuperviseError as error:  # what is there is looked at, and is not what the sources say
            self.say(f"{self.plan.name} was not built anew: {error.what}; {error.remedy}")
        return await self.check()

    def was_built_anew(self) -> None:
        """Have it checked once more, unless it is a check that has renewed it."""
        if not self._renewing:
            self._another.set()

    async def keep_up(self) -> None:
        """Keep its process up from its start on; give the part up when that fails too often, until somebody says otherwise."""
        looking = asyncio.create_task(self._look_again(), name=f"look at {self.plan.name}")
        try:
            await self._keep_up()
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look_again(self) -> None:
        while True:
            await self._another.wait()
            self._another.clear()
            try:
                await self.check()
            except Exception as error:  # noqa: BLE001 - whatever it is, Python answers without it
                _log.error("a native part could not be looked at", name=self.plan.name, exc_info=error)

    async def _keep_up(self) -> None:
        while True:
            await self._started.wait()
            try:
                await self.keeper.keep_up()
            except SuperviseError as error:
                await self.keeper.stop(0)
                self._started.clear()
                self.give_up(error, "given up")

    def give_up(self, error: SuperviseError, stage: str = "not there") -> list[str]:
        """Leave all of its contracts in Python, and say so: the lines that do."""
        self.places.left(self.plan.contracts, self.plan.language)
        self._at(stage)
        return [self._stays(contract, error.what, error.remedy) for contract in self.plan.contracts]

    @property
    def is_outdated(self) -> bool:
        """Whether its program was built anew since its process began."""
        return self.keeper.is_outdated

    async def _renew(self) -> None:
        self._renewing = True
        try:
            await self.keeper.renew()
        finally:
            self._renewing = False

    async def _judge(self, found: Mapping[str, Any]) -> str:
        """Bind a contract or leave it; the line that says why it was left."""
        contract, same = str(found["contract"]), f"{found['passed']}/{found['cases']} cases the same"
        if found["finding"]:
            return self._refuse(contract, f"{same}; the first that is not: {found['finding']}")
        if not found["cases"]:
            return self._refuse(contract, "no case of it could be played")
        doubt = self._doubt(contract, found)
        wanted = self.places.free(contract, self.plan.language)
        if not wanted:
            self._say_chosen(contract, same, doubt)
            return ""
        if doubt:
            self.places.back([contract])
            return self._stays(contract, f"{same}, but {doubt}")
        self.places.bind(wanted, self.plan.language)
        self._say_bound(", ".join(map(_short, wanted)), same, found)
        return ""

    def _doubt(self, contract: str, found: Mapping[str, Any]) -> str:
        """Why evidence does not speak for a contract; empty when it does."""
        self.doubts[contract] = "" if found["fresh"] else str(found["why"])
        return self.doubts[contract]

    def _say_chosen(self, contract: str, same: str, doubt: str) -> None:
        """An operator's word holds, also against evidence; but not in silence."""
        self.found[contract] = "chosen by an operator"
        name, chosen = short_name(contract), self.places.native(contract)
        if doubt and chosen is not None:
            _log.warning("bound by an operator without evidence", contract=contract, implementation=chosen, why=doubt)
            self.say(f"{name} -> {chosen} as an operator chose, without evidence: {same}, but {doubt}")
        else:
            self.say(f"{name} is answered as an operator chose   {same}")

    def _say_bound(self, what: str, same: str, found: Mapping[str, Any]) -> None:
        contract, language = str(found["contract"]), self.plan.language
        self.found[contract] = "bound"
        self.around.changed()
        after = f"bound after {time.monotonic() - self.since:.0f} s"
        self.say("   ".join(filter(None, (f"{what} -> {language}", same, str(found["gain"]), after))))
        _log.info("bound", contract=contract, implementation=language, found=same, asked=found["asked"])

    def _refuse(self, contract: str, why: str, remedy: str = "") -> str:
        self.places.release(contract)
        return self._stays(contract, why, remedy)

    def _stays(self, contract: str, why: str, remedy: str = "") -> str:
        self.found[contract] = f"python: {why}"
        self.around.changed()
        line = f"{short_name(contract)} stays in python: {why}" + (f"; {remedy}" if remedy else "")
        _log.warning("a contract stays in Python", contract=contract, why=why, remedy=remedy)
        self.say(line)
        return line

    async def _run(self, plan: ProcessPlan, seconds: float, heard: Callable[[Mapping[str, Any]], None]) -> None:
        await run_tool(self.around, self.around.spawn(plan), {}, seconds, heard)

    def _at(self, stage: str) -> None:
        self.stage = stage
        self.around.changed()


async def grow(parts: Iterable[Part]) -> list[str]:
    """Bring native parts into a running application; the lines of those that stay in Python.

    One is built after the other, and while the next is built those before are started and looked at. Nothing that goes wrong with one of
    them touches what runs.
    """
    looking: list[asyncio.Future[list[str]]] = []
    try:
        for part in parts:
            try:
                await part.build()
            except SuperviseError as error:
                looking.append(_settled(part.give_up(error)))
            else:
                looking.append(asyncio.ensure_future(_join(part)))
        return [line for each in looking for line in await each]
    finally:
        for each in looking:
            each.cancel()
        await asyncio.gather(*looking, return_exceptions=True)


async def _join(part: Part) -> list[str]:
    try:
        await part.start()
    except SuperviseError as error:
        return part.give_up(error)
    return await part.check()


def _short(target: str) -> str:
    contract, _, method = target.partition("/")
    return Target(contract, method or None).short


def _settled(lines: list[str]) -> asyncio.Future[list[str]]:
    settled: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
    settled.set_result(lines)
    return settled
