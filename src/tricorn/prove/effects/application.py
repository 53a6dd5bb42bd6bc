"""What an application says about a contract with effects, and how it is found."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf.message import Message

from tricorn.host import resolve
from tricorn.host.manifest import Manifest, Verify
from tricorn.host.targets import short_name
from tricorn.prove.effects.operation import Operation

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows by ``schema.table``, as in a conformance case."""


class Scene(Protocol):
    """What there is before a sequence of calls, and requests that speak of it.

    Scenes of different seeds share nothing that a call could change: sequences are played at once.
    """

    @property
    def rows(self) -> Rows: ...

    def request(self, rng: random.Random, method: str) -> Message | None:
        """A request for the method of that name; None: one is drawn from the contract's rules.

        A string field that answers of earlier calls also have (``reservation_id``) is filled from them afterwards; times that are compared as
        state should be long enough for none to end while the sequence is played.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ask:
    """What a caller of a history does next: waits for so many seconds, then calls."""

    method: str
    request: Message
    after: float = 0.0


class Window(Protocol):
    """A small history to be recorded, and the sequential model that says whether it can have happened.

    A model's state is hashable. Windows of different seeds share nothing that a call could change.
    """

    @property
    def rows(self) -> Rows: ...

    @property
    def callers(self) -> int:
        """How many call at once."""
        ...

    @property
    def initial(self) -> Any:
        """The model's state before."""
        ...

    def ask(self, rng: random.Random, caller: int, so_far: Sequence[Operation]) -> Ask | None:
        """What a caller does next, knowing what all have been answered; None: it has done enough."""
        ...

    def last(self, so_far: Sequence[Operation]) -> Sequence[Ask]:
        """What is read when all callers are done: it shows what has become of everything."""
        ...

    def background(self, history: Sequence[Operation]) -> Sequence[Operation]:
        """What the implementation may have done by itself, each with the earliest time; a judge may leave it out."""
        ...

    def step(self, state: Any, operation: Operation) -> Sequence[Any]:
        """The states in which an operation with its outcome may leave the model; none: it cannot have been so from here."""
        ...


@dataclass(frozen=True, slots=True)
class Declared:
    """``[verify.NAME]``, what it names looked up."""

    said: Verify
    scene: Callable[[random.Random], Scene] | None
    history: Callable[[random.Random], Window] | None


def declared(manifest: Manifest, contract: str) -> Declared:
    """What the application says; what it does not say has the defaults. The application is active."""
    said = next(
        (said for name, said in manifest.verify.items() if name in {contract, short_name(contract)}),
        Verify(),
    )
    return Declared(
        said,
        resolve(said.scene) if said.scene else None,
        resolve(said.history) if said.history else None,
    )
