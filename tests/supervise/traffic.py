"""Made-up calls of a contract, counted by what is bound at the moment: each time somebody looks, another second has passed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tricorn.prove.tally import Arm, Tallies
from tricorn.wire.bindings import Bindings

PRICES = "shop.v1.PriceService"
METHOD = f"{PRICES}/Price"


@dataclass
class Traffic:
    """`calls` a second; of those to rust a share `errors` fails, and each takes `seconds`; of those compared `different` a second differ.

    What is wrong with rust begins at a share of `bad_from` basis points.
    """

    bindings: Callable[[], Bindings]
    calls: int = 400
    errors: float = 0.0
    seconds: float = 0.002
    different: int = 0
    bad_from: int = 0
    tallies: Tallies = field(default_factory=Tallies)

    def __call__(self, target: str) -> Tallies:
        binding = self.bindings().at(PRICES)
        bad = binding.share >= self.bad_from
        native = self.calls * binding.share // 10_000
        self._count("python", binding.generation, self.calls - native, 0, 0.004)
        errors = round(native * self.errors) if bad else 0
        self._count("rust", binding.generation, native, errors, self.seconds if bad else 0.002)
        if binding.shadow is not None:
            tally = self.tallies.arm(Arm(METHOD, "rust", binding.generation))
            tally.compared += self.calls * binding.shadow.sample // 10_000
            tally.different += self.different if bad else 0
        return self.tallies

    def _count(self, language: str, generation: int, calls: int, errors: int, seconds: float) -> None:
        if not calls:
            return
        tally = self.tallies.arm(Arm(METHOD, language, generation))
        tally.calls += calls
        tally.errors += errors
        for _ in range(calls):
            tally.latency.add(seconds)
