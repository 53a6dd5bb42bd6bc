"""Which implementation answers what share of the calls: ``bindings.json``, read by every process and written by one.

    {"version": 1, "generation": 7, "bindings": {
      "package.Service": {"shares": {"rust": 2500}, "generation": 7, "by": "operator", "auto": false},
      "package.Service/Method": {"shares": {}, "generation": 6, "by": "guard", "auto": true}}}

Shares are basis points of the calls; Python, the reference, has the rest. What is bound for a method holds instead of
what is bound for its contract. Which entities are in a share is decided by `bucket`, the same in every language, so that
raising a share never moves an entity back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tricorn.contract import MethodPolicy

BINDINGS_FILE = "bindings.json"
REPORTS = "wire"
"""The folder of the home in which each process says which bindings hold there, and what does not go as bound."""

SCHEMA_VERSION = 1
REFERENCE = "python"
"""The implementation that every contract has."""

GATEWAY = "gateway"
"""The target that says who has the public port, beside contracts and methods; it has all of it or nothing."""

AT_GATEWAY = "gateway"
"""Set in the record of a method's binding that a native gateway answers by itself, for what comes through the public port."""

ALL = 10_000
"""Every call, in basis points."""

OVER_THE_CAP = "over_the_cap"
"""Why a call that would have fallen back to the reference was refused."""

BY = ("operator", "grow", "cutover", "guard")
"""Who may have bound something."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def bucket(target: str, key: str) -> int:
    """Where an entity stands, 0 to 9999; it goes to the native implementation if that is below its share.

    The rule, the same in every language: SHA-256 of the UTF-8 bytes of ``target`` (the binding's name in the file), a zero byte and the
    UTF-8 bytes of ``key``; its first 8 bytes as a big-endian unsigned integer, modulo 10000. ``buckets.json`` beside this file holds
    values for tests in any language.
    """
    digest = sha256(f"{target}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % ALL


@dataclass(frozen=True, slots=True)
class Shadow:
    """An implementation that gets copies of calls to be compared, and of how many: basis points of the calls; of some methods only, or of all."""

    implementation: str
    sample: int
    methods: tuple[str, ...] = ()

    def wants(self, method: str) -> bool:
        """Whether calls of a method (its name in the contract) are compared."""
        return not self.methods or method in self.methods


@dataclass(frozen=True, slots=True)
class Binding:
    """Who answers a contract, or one of its methods.

    Args:
        target: ``package.Service``, ``package.Service/Method`` or `GATEWAY`.
        shares: Basis points of the calls by implementation, one at most; Python has the rest.
        generation: That of the file when this was last changed.
        by: Who changed it last: one of `BY`.
        auto: Whether the platform may change it by itself; false once an operator has chosen.
        shadow: Who gets copies of calls.
        shared: Whether both implementations keep the contract's rows, idempotency keys included, in the same tables.
        record: Facts about the move, for whoever made it.
    """

    target: str
    shares: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    generation: int = 0
    by: str = "grow"
    auto: bool = True
    shadow: Shadow | None = None
    shared: bool = False
    record: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    @property
    def native(self) -> str | None:
        """The implementation that has a share; None when Python answers everything."""
        return next((name for name, share in self.shares.items() if share > 0), None)

    @property
    def share(self) -> int:
        """Basis points of the calls that the native implementation gets."""
        return max(self.shares.values(), default=0)

    def to(self, implementation: str, share: int = ALL) -> Binding:
        """This with another implementation for a share of the calls; for `REFERENCE` all of them."""
        return replace(self, shares=_NOTHING if implementation == REFERENCE else {implementation: share})


@dataclass(frozen=True, slots=True)
class Bindings:
    """All bindings at one moment, by target. Never changed; a change makes another."""

    generation: int = 0
    by_target: Mapping[str, Binding] = field(default_factory=lambda: _NOTHING)

    def of(self, policy: MethodPolicy) -> Binding:
        """What holds for a method: its own binding, else its contract's, else Python answers everything."""
        return self.by_target.get(policy.full_name) or self.at(policy.service)

    def at(self, target: str) -> Binding:
        """What is bound for exactly this target; without one, Python answers everything."""
        return self.by_target.get(target) or Binding(target)


class BadBindingsError(ValueError):
    """A text that is no bindings file; says what is wrong and where."""


def parse_bindings(text: str | bytes) -> Bindings:
    """Reads a bindings file. Members it does not know are passed over.

    Raises:
        ValueError: It is not of the form above; the text says what is wrong and where.
    """
    try:
        said = json.loads(text)
    except ValueError as error:
        raise BadBindingsError(f"not JSON: {error}") from error
    _expect(isinstance(said, dict), "an object is expected")
    _expect(
        said.get("version") == SCHEMA_VERSION, f"version: {SCHEMA_VERSION} is expected, not {said.get('version')!r}"
    )
    generation = _count(said.get("generation"), "generation")
    listed = said.get("bindings")
    _expect(isinstance(listed, dict), "bindings: an object is expected")
    return Bindings(generation, {target: _binding(target, each) for target, each in listed.items()})


def dump_bindings(bindings: Bindings) -> str:
    """The text of a bindings file; `parse_bindings` reads the same from it."""
    said = {
        "version": SCHEMA_VERSION,
        "generation": bindings.generation,
        "bindings": {target: describe(binding) for target, binding in sorted(bindings.by_target.items())},
    }
    return json.dumps(said, indent=1) + "\n"


def describe(binding: Binding) -> dict[str, Any]:
    """A binding as it stands in the file, without its name."""
    said: dict[str, Any] = {
        "shares": dict(binding.shares),
        "generation": binding.generation,
        "by": binding.by,
        "auto": binding.auto,
    }
    if binding.shadow is not None:
        said["shadow"] = {"implementation": binding.shadow.implementation, "sample": binding.shadow.sample}
        if binding.shadow.methods:
            said["shadow"]["methods"] = list(binding.shadow.methods)
    if binding.shared:
        said["shared"] = True
    if binding.record:
        said["record"] = dict(binding.record)
    return said


def _binding(target: str, said: Any) -> Binding:
    where = f"bindings[{target!r}]"
    contract, slash, method = target.partition("/")
    named = bool(contract) and "." in contract and bool(method) == bool(slash) and "/" not in method
    _expect(named or target == GATEWAY, f"{where}: a name is package.Service, package.Service/Method or {GATEWAY}")
    _expect(isinstance(said, dict), f"{where}: an object is expected")
    shares = said.get("shares", {})
    _expect(isinstance(shares, dict), f"{where}.shares: an object is expected")
    for name, share in shares.items():
        _points(share, f"{where}.shares[{name!r}]")
        _expect(name not in {"", REFERENCE}, f"{where}.shares: {REFERENCE} has what is left; name others only")
    _expect(target != GATEWAY or set(shares.values()) <= {ALL}, f"{where}.shares: the public port cannot be divided")
    # With two, raising the share of one would move entities of the other.
    _expect(len(shares) <= 1, f"{where}.shares: one implementation besides {REFERENCE} at a time")
    by, auto, shared, record = (
        said.get("by", "grow"),
        said.get("auto", True),
        said.get("shared", False),
        said.get("record", {}),
    )
    _expect(by in BY, f"{where}.by: one of {', '.join(BY)} is expected, not {by!r}")
    _expect(isinstance(auto, bool), f"{where}.auto: true or false is expected")
    _expect(isinstance(shared, bool), f"{where}.shared: true or false is expected")
    _expect(isinstance(record, dict), f"{where}.record: an object is expected")
    return Binding(
        target,
        shares,
        _count(said.get("generation", 0), f"{where}.generation"),
        by,
        auto,
        _shadow(said.get("shadow"), f"{where}.shadow"),
        shared,
        record,
    )


def _shadow(said: Any, where: str) -> Shadow | None:
    if said is None:
        return None
    _expect(isinstance(said, dict), f"{where}: an object is expected")
    name = said.get("implementation")
    _expect(isinstance(name, str) and bool(name), f"{where}.implementation: a name is expected")
    methods = said.get("methods", [])
    listed = isinstance(methods, list) and all(isinstance(each, str) and each for each in methods)
    _expect(listed, f"{where}.methods: a list of names is expected")
    return Shadow(name, _points(said.get("sample"), f"{where}.sample"), tuple(methods))


def _count(said: Any, where: str) -> int:
    _expect(isinstance(said, int) and not isinstance(said, bool) and said >= 0, f"{where}: a whole number is expected")
    return int(said)


def _points(said: Any, where: str) -> int:
    whole = isinstance(said, int) and not isinstance(said, bool)
    _expect(whole and 0 <= said <= ALL, f"{where}: basis points are expected, 0 to {ALL}, not {said!r}")
    return int(said)


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BadBindingsError(otherwise)
