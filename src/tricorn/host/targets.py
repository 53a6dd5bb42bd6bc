"""What commands call a contract or a method of it: ``pricing``, ``pricing/PriceBasket``, or the full names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tricorn.host.manifest import Manifest, ManifestError
from tricorn.host.references import GATEWAY

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Target:
    """A contract by its full name, or one method of it."""

    contract: str
    method: str | None = None

    @property
    def key(self) -> str:
        """The name in files: ``package.Service`` or ``package.Service/Method``."""
        return self.contract if self.method is None else f"{self.contract}/{self.method}"

    @property
    def short(self) -> str:
        """The name in commands."""
        name = short_name(self.contract)
        return name if self.method is None else f"{name}/{self.method}"


def short_name(contract: str) -> str:
    """The name of a contract in commands: "agora.pricing.v1.PromotionsService" is "promotions"."""
    return contract.rpartition(".")[2].removesuffix("Service").lower()


def find_target(manifest: Manifest, word: str, *, gateway: bool = False) -> Target:
    """What a word means: a contract's short name, its service's name or its full name, a method of it after a slash.

    A method is looked up in the contract's descriptor, for which the application is activated.

    Args:
        manifest: The application.
        word: What an operator wrote.
        gateway: Whether the gateway may be meant.

    Raises:
        ManifestError: Nothing is called that, or several contracts are; the text names the choices.
    """
    if word == GATEWAY:
        if gateway:
            return Target(GATEWAY)
        raise ManifestError(
            "the gateway is no contract, and moves as a whole: `tricorn bind gateway=IMPLEMENTATION`; `tricorn verify gateway`"
            " compares two of them"
        )
    name, slash, method = word.partition("/")
    found = [contract for contract in manifest.contracts if name in _names(contract)]
    if not found:
        raise ManifestError(
            f"there is no contract {name!r}; choose one of: {_listed(map(short_name, manifest.contracts))}"
        )
    if len(found) > 1:
        raise ManifestError(f"{name!r} could be several contracts; choose one of: {_listed(found)}")
    if not slash:
        return Target(found[0])
    methods = _methods(manifest, found[0])
    if method not in methods:
        raise ManifestError(f"{short_name(found[0])} has no method {method!r}; choose one of: {_listed(methods)}")
    return Target(found[0], method)


def _names(contract: str) -> tuple[str, str, str]:
    return contract, contract.rpartition(".")[2], short_name(contract)


def _methods(manifest: Manifest, contract: str) -> list[str]:
    # Imported here, because the supervisor looks up contracts and loads no protobuf for that.
    from tricorn.contract import service_policies  # noqa: PLC0415

    manifest.activate()
    return [policy.name for policy in service_policies(contract)]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
