"""The same messages as Hypothesis strategies: for property tests of an application, and for inputs that Hypothesis finds."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tricorn.prove.inputs.messages import Generator

_T = TypeVar("_T")


class HypothesisDraws:
    """Choices that Hypothesis makes, records and shrinks."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def between(self, low: int, high: int) -> int:
        return int(self._draw(st.integers(low, high)))

    def chance(self, percent: int) -> bool:
        return int(self._draw(st.integers(0, 99))) < percent

    def pick(self, choices: Sequence[_T]) -> _T:
        return choices[int(self._draw(st.integers(0, len(choices) - 1)))]

    def real(self) -> float:
        return float(self._draw(st.floats(0, 1, exclude_max=True)))


@st.composite
def messages(
    draw: Callable[[st.SearchStrategy[Any]], Any], kind: type[Message], generator: Generator | None = None
) -> Message:
    """Messages of a type that keep to its protovalidate rules; with a generator's values that were seen, if one is given."""
    return (generator or Generator()).draw(kind, HypothesisDraws(draw))


def found(kind: type[Message], generator: Generator, count: int, number: int) -> list[Message]:
    """So many messages as Hypothesis chooses them, the same for the same ``number``."""
    collected: list[Message] = []

    @seed(number)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(messages(kind, generator))
    def collect(message: Message) -> None:
        collected.append(message)

    collect()
    return collected[:count]
