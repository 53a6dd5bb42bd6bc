"""Where each contract is answered, and by which implementation: in this process, or at addresses of others."""

import itertools
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.message import Message

from tricorn import telemetry
from tricorn.contract import MethodPolicy, PlatformReason, Refusal
from tricorn.wire.bindings import ALL, AT_GATEWAY, GATEWAY, REFERENCE, Binding, Bindings
from tricorn.wire.endpoints import STATS, Addresses
from tricorn.wire.local import LocalChannel
from tricorn.wire.native import NativeChannel
from tricorn.wire.remote import RemoteChannel
from tricorn.wire.route import Channel, Route
from tricorn.wire.service import Service
from tricorn.wire.split import Chooser, chooser


class OneChannel:
    """Every call goes to one process: for contracts that every process answers for itself."""

    def __init__(self, channel: Channel) -> None:
        self._route = Route(channel)

    def route(self, policy: MethodPolicy, request: Message | AsyncIterator[Message]) -> Route:
        return self._route


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the calls of a method go: all the one way, or in turns over the addresses of the implementation that is chosen."""

    only: Route | None
    native: Iterator[Route] | None = None
    reference: Iterator[Route] | None = None
    chosen: Chooser | None = None


class Endpoints:
    """Answers with this process where it hosts the contract, else with the addresses in turn, as far as a binding names no other implementation.

    Args:
        local: What this process hosts: Python, the reference.
        endpoints: Addresses by contract, and by implementation; a list means Python.
        bindings: Which implementation gets what share of the calls.
        stats: Counts the calls that native implementations answer.
    """

    def __init__(
        self,
        local: Service,
        endpoints: Mapping[str, Sequence[str] | Mapping[str, Sequence[str]]] | None = None,
        *,
        bindings: Bindings | None = None,
        stats: telemetry.CallStats | None = None,
    ) -> None:
        self._service = local
        self._local = Route(LocalChannel(local))
        self._remote: dict[str, RemoteChannel] = {}
        self._stats = stats or telemetry.CallStats()
        self._plans: dict[str, _Plan] = {}
        self._bindings = bindings or Bindings()
        self._fixed = {
            contract: {name: tuple(at) for name, at in each.items()}
            if isinstance(each, Mapping)
            else {REFERENCE: tuple(each)}
            for contract, each in (endpoints or {}).items()
        }
        self._endpoints: Addresses = self._fixed

    def update(self, *, endpoints: Addresses | None = None, bindings: Bindings | None = None) -> None:
        """From the next call on, other bindings hold, or other addresses beside those given at first. Calls in flight end where they began."""
        if endpoints is not None:
            self._endpoints = {
                contract: {**self._fixed.get(contract, {}), **endpoints.get(contract, {})}
                for contract in {*self._fixed, *endpoints}
            }
        if bindings is not None:
            self._bindings = bindings
        self._plans = {}

    def route(self, policy: MethodPolicy, request: Message | AsyncIterator[Message]) -> Route:
        plan = self._plans.get(policy.full_name)
        if plan is None:
            plan = self._plans[policy.full_name] = self._plan(policy)
        if plan.only is not None:
            return plan.only
        turns = plan.native if plan.chosen is not None and plan.chosen(request) else plan.reference
        if turns is None:
            raise Refusal(PlatformReason.UNAVAILABLE, f"nothing answers {policy.service} here", sent=False)
        return next(turns)

    def at(self, address: str) -> RemoteChannel:
        """The channel to an address; made once."""
        channel = self._remote.get(address)
        if channel is None:
            channel = self._remote[address] = RemoteChannel(address)
        return channel

    def to(self, policy: MethodPolicy, implementation: str) -> Channel:
        """The way to one implementation of a method, whatever is bound.

        Raises:
            Refusal: UNAVAILABLE, when it has no address here.
        """
        if implementation == REFERENCE and self._service.hosts(policy.full_name):
            return self._local.channel
        binding, places = self._bindings.of(policy), [policy.service]
        if implementation != REFERENCE and binding.record.get(AT_GATEWAY):
            # A native gateway's own address is listed for what it answers as every process does.
            places = [STATS] if implementation == binding.native else [policy.service, STATS]
        addresses = next(filter(None, (self.places(place, implementation) for place in places)), ())
        if not addresses:
            raise Refusal(PlatformReason.UNAVAILABLE, f"no {implementation} answers {policy.service} here", sent=False)
        return self.at(random.choice(addresses))  # noqa: S311 - a lot, not a secret

    def places(self, contract: str, implementation: str) -> Sequence[str]:
        """The addresses of an implementation of a contract; none where none is listed."""
        return self._endpoints.get(contract, {}).get(implementation, ())

    @property
    def bindings(self) -> Bindings:
        """What is bound now."""
        return self._bindings

    @property
    def addresses(self) -> list[str]:
        """Every address of a Python process that is known, once."""
        return sorted({address for each in self._endpoints.values() for address in each.get(REFERENCE, ())})

    def natives(self, contract: str) -> list[str]:
        """Every address of another implementation than Python's that is listed for a contract, once."""
        listed = self._endpoints.get(contract, {}).items()
        return sorted({address for name, at in listed if name != REFERENCE for address in at})

    @property
    def placeless(self) -> list[str]:
        """What is bound to an implementation that has no address, so that Python answers: ``TARGET to IMPLEMENTATION``.

        What a native gateway answers by itself, it alone is asked for: no other process looks for its address.
        """
        return sorted(
            f"{binding.target} to {binding.native}"
            for binding in self._bindings.by_target.values()
            if binding.native
            and not (binding.target == GATEWAY or binding.record.get(AT_GATEWAY))
            and binding.native not in self._endpoints.get(binding.target.partition("/")[0], {})
        )

    async def close(self) -> None:
        for channel in self._remote.values():
            await channel.close()

    def _plan(self, policy: MethodPolicy) -> _Plan:
        known = self._endpoints.get(policy.service, {})
        elsewhere = [Route(self.at(address)) for address in known.get(REFERENCE, ())]
        references = [self._local] if self._service.hosts(policy.full_name) else elsewhere
        binding = self._bindings.of(policy)
        natives = self._natives(binding, known, references)
        if natives and binding.share < ALL:
            return _Plan(None, _in_turn(natives), _in_turn(references), chooser(policy, binding))
        everything = natives or references
        return _Plan(everything[0]) if len(everything) == 1 else _Plan(None, None, _in_turn(everything))

    def _natives(
        self, binding: Binding, known: Mapping[str, Sequence[str]], references: Sequence[Route]
    ) -> Sequence[Route]:
        name = binding.native
        if name is None:
            return ()
        return [
            Route(
                NativeChannel(self.at(address), name, self._stats),
                name,
                references[number % len(references)] if references else None,
                binding.shared,
            )
            for number, address in enumerate(known.get(name, ()))
        ]


def _in_turn(routes: Sequence[Route]) -> Iterator[Route] | None:
    return itertools.cycle(routes) if routes else None
