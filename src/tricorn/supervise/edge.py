"""The native part that can be the gateway: built and looked at as every part, started when it is to have the public port."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tricorn.host.references import GATEWAY, REFERENCE
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.growth import Part
from tricorn.supervise.handover import EdgeKeeper
from tricorn.wire.endpoints import CHECK_RATE_LIMIT, LIMITS, STATS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tricorn.supervise.handover import FrontKeeper

_OF_THE_PLATFORM = (STATS, LIMITS)


@dataclass
class EdgePart(Part):
    """The native part that can be the gateway. It has a process only while it is.

    Args:
        front: keeps the Python gateway.
    """

    front: FrontKeeper = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._choosing = asyncio.Lock()
        self._chosen = ""

    def _keeper(self) -> EdgeKeeper:
        return EdgeKeeper(
            self.plan.process, self.around, self._word, self.front, moved=self._moved, built_anew=self._built_anew
        )

    @property
    def edge(self) -> EdgeKeeper:
        """Its keeper, as what it is."""
        assert isinstance(self.keeper, EdgeKeeper)  # noqa: S101 - made above
        return self.keeper

    @property
    def language(self) -> str:
        return self.plan.language

    @property
    def methods(self) -> tuple[str, ...]:
        return self.plan.methods

    @property
    def has_port(self) -> bool:
        return self.keeper.ready.is_set()

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "address": self.keeper.plan.address if self.keeper.ready.is_set() else ""}

    async def start(self) -> None:
        """Nothing runs before it has the port."""
        self._at("built")
        self._started.set()

    async def choose(self, implementation: str) -> None:
        """Have an implementation take the port, because an operator says so, and what it answers by itself with it.

        A native one is built first; one that has the port already is replaced if that made another program.

        Raises:
            SuperviseError: it cannot be built, does not start, or somebody chose another meanwhile; whoever has the port keeps it.
        """
        self._chosen = implementation
        if implementation != REFERENCE:
            await self._build_for_operator()
        async with self._choosing:
            if self._chosen != implementation:
                raise SuperviseError(
                    f"{self._chosen} was chosen for the gateway meanwhile",
                    remedy="see `tricorn status`, and say it again",
                )
            if implementation == REFERENCE:
                await self.edge.give()
                self._left()
                self._at("built")
            else:
                await self._take_for_operator()

    async def _build_for_operator(self) -> None:
        """Build it; while that goes on another may be chosen."""
        stage = self.stage
        try:
            await self.build()
        finally:
            self._at(stage)
        self._started.set()

    async def _take_for_operator(self) -> None:
        if not self.keeper.ready.is_set() or self.edge.is_outdated:
            await self.edge.take()
        self._bind_its_own()
        self._at("up")
        self.found[GATEWAY] = "chosen by an operator"

    def _built_anew(self) -> None:
        """Python has the port; what lies there now has it once it was looked at."""
        self._left()
        self.was_built_anew()

    async def _keep_up(self) -> None:
        while True:
            try:
                await self.keeper.keep_up()
            except SuperviseError as error:
                self._left()
                self.give_up(error, "given up")

    async def _judge(self, found: Mapping[str, Any]) -> str:
        contract = str(found["contract"])
        if contract != GATEWAY:
            if not self.keeper.ready.is_set():
                return self._refuse(contract, f"{self.plan.name} runs only while it has the gateway")
            return await super()._judge(found)
        same = f"{found['passed']}/{found['cases']} requests the same"
        doubt = self._doubt(GATEWAY, found)
        if self.places.chosen(GATEWAY):
            if self.places.native(GATEWAY) == self.plan.language and not self.keeper.ready.is_set():
                await self.edge.take()
                self._bind_its_own()
            self._say_chosen(GATEWAY, same, doubt)
            return ""
        if doubt:
            if self.keeper.ready.is_set():
                await self.edge.give()
                self._left()
            return self._refuse(GATEWAY, doubt)
        if not self.keeper.ready.is_set() or self.edge.is_outdated:
            await self.edge.take()
        self.places.bind([GATEWAY], self.plan.language)
        self._bind_its_own()
        self._say_bound(GATEWAY, same, found)
        return ""

    def give_up(self, error: SuperviseError, stage: str = "not there") -> list[str]:
        stays = super().give_up(error, stage)
        self.places.left([*_OF_THE_PLATFORM, CHECK_RATE_LIMIT, *self.plan.methods], self.plan.language)
        return stays

    def _left(self) -> None:
        """Python has the port: what this part answered goes back, as far as no operator bound it."""
        own = [*self._contracts, *_OF_THE_PLATFORM, CHECK_RATE_LIMIT, *self.plan.methods]
        self.places.left(own, self.plan.language)
        for contract in self.plan.contracts:
            self.found.pop(contract, None)

    @property
    def _contracts(self) -> list[str]:
        return [contract for contract in self.plan.contracts if contract != GATEWAY]

    def _word(self) -> dict[str, Any]:
        word = dict(self.plan.word()) if self.plan.word is not None else dict(self.around.word)
        mounts = self.front.said.get("mounts")
        if mounts:
            word["environment"] = {**word.get("environment", {}), "TRICORN_MOUNTS": json.dumps(mounts)}
        return word

    def _moved(self, address: str) -> None:
        self.places.arrived([*self._contracts, *_OF_THE_PLATFORM], self.plan.language, address)

    def _bind_its_own(self) -> None:
        """What it answers by itself because it has the port; its limits, since only it sees what is asked in public."""
        self.places.bind_at_gateway([*self.plan.methods, CHECK_RATE_LIMIT], self.plan.language)
