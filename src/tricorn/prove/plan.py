"""What is verified, and with what."""

from dataclasses import dataclass, field
from pathlib import Path

from tricorn.contract import MethodPolicy, service_policies
from tricorn.host import Manifest
from tricorn.host.targets import Target
from tricorn.prove.effects_of import has_effects
from tricorn.prove.errors import ProveError
from tricorn.prove.reference import Site

REQUESTS = 30_000
CALLS = 4_000
"""How many are generated when nobody says: requests of a pure contract, calls of sequences where there are effects."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is verified, and with what.

    Args:
        against: An implementation's language, or an address.
        home: The application's state: builds, and the cache of answers.
        recordings: Files of `tricorn record` whose requests are asked, too.
    """

    manifest: Manifest
    target: Target
    against: str
    home: Path
    inputs: int = REQUESTS
    seed: int = 1
    recordings: tuple[Path, ...] = ()
    with_effects: bool = field(init=False)
    """Whether it is judged by sequences of calls and the state after them; see `tricorn.prove.effects`."""
    policies: tuple[MethodPolicy, ...] = field(init=False)
    left_out: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        with_effects = has_effects(self.manifest, self.target.contract)
        policies, left_out = _judged(self.target, with_effects=with_effects)
        object.__setattr__(self, "with_effects", with_effects)
        object.__setattr__(self, "policies", policies)
        object.__setattr__(self, "left_out", left_out)

    @property
    def is_of_a_native_part(self) -> bool:
        native = self.manifest.native_of(self.target.contract)
        return native is not None and native.language == self.against

    def site(self, state: Path) -> Site:
        return Site(self.manifest.root, self.target.contract, state)


def _judged(target: Target, *, with_effects: bool) -> tuple[tuple[MethodPolicy, ...], dict[str, str]]:
    """The methods that can be asked, and why the others cannot. Methods with effects only show what they do together: all are asked."""
    judged, left_out = [], {}
    for policy in service_policies(target.contract):
        if target.method not in {None, policy.name} and not with_effects:
            continue
        if policy.client_streaming or policy.server_streaming:
            left_out[policy.name] = "a stream"
        elif not policy.safe and not with_effects:
            left_out[policy.name] = "it has effects"
        else:
            judged.append(policy)
    if not judged:
        said = ", ".join(f"{name}: {why}" for name, why in left_out.items())
        raise ProveError(
            f"no method of {target.short} can be asked at will ({said})",
            remedy="`verify` judges methods with NO_SIDE_EFFECTS that answer once; `tricorn conformance` plays cases for the others",
        )
    return tuple(judged), left_out
