"""Requests written by hand: tables whose every row goes to both gateways, and stories, which each gateway lives through by itself.

A file is TOML. ``[[table]]`` has a ``name`` and lists of alternatives, every combination of which is a request: ``as`` (a
variable that holds a token; empty: nobody), ``method``, ``target``, ``headers`` (objects; a list as value: the header several
times) and ``body`` (a text, or an object with one of ``json``, ``hex`` or ``of`` and ``times``). ``type`` is the content type of
bodies, ``chunked`` sends them in chunks. ``[[raw]]`` has ``sends``: whole requests, head and all.

``[[story]]`` has steps, which are rows of one combination. A step may ``keep`` members of its answer (``{"variable":
"path.to.0.member"}``) and may be sent again and again ``until`` there is some status.

``${name}`` stands for a variable: what a story kept, or ``${new:label}``, a new UUID for each story and gateway, and for
each run in a table. The stories of ``setup.toml`` are told to the reference alone, and what they keep is everyone's.

A file may also say, for requests that are drawn from the contracts: ``actors``, ``values`` (texts by field) and ``lenient``
(by method). In all of them ``members`` and ``unlike`` name JSON members and headers that may differ, and ``any_body`` says that bodies may.
"""

import itertools
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tricorn.conformance.cases import CaseError
from tricorn.conformance.parity.compare import Leniency
from tricorn.conformance.parity.exchange import Ask

SETUP = "setup.toml"
_NAME_LENGTH = 70
_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_VARIABLE_BYTES = re.compile(rb"\$\{([^}]+)\}")


def _several(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Lenient(_Part):
    members: list[str] = []
    unlike: list[str] = []
    any_body: bool = False

    @property
    def leniency(self) -> Leniency:
        return Leniency(frozenset(self.members), frozenset(self.unlike), self.any_body)


class _Body(_Part):
    says: Any = Field(None, alias="json")
    hex: str | None = None
    of: str | None = None
    times: int = 1

    @property
    def text(self) -> str | bytes:
        if self.hex is not None:
            return bytes.fromhex(self.hex)
        return self.of * self.times if self.of is not None else json.dumps(self.says)


Several = BeforeValidator(_several)
Headers = dict[str, str | list[str]]


class _Row(_Lenient):
    who: Annotated[list[str], Several] = Field([""], alias="as")
    method: Annotated[list[str], Several] = ["GET"]
    target: Annotated[list[str], Several] = Field(min_length=1)
    headers: Annotated[list[Headers], Several] = [{}]
    body: Annotated[list[str | _Body], Several] = []
    type: str = "application/json"
    chunked: bool = False


class _Table(_Row):
    name: str


class _Raw(_Lenient):
    name: str
    sends: Annotated[list[str], Several]


class _Step(_Row):
    keep: dict[str, str] = {}
    until: int | None = None


class _Story(_Part):
    name: str
    step: list[_Step]


class _File(_Part):
    actors: list[str] = []
    values: dict[str, list[str]] = {}
    lenient: dict[str, _Lenient] = {}
    table: list[_Table] = []
    raw: list[_Raw] = []
    story: list[_Story] = []


@dataclass(frozen=True, slots=True)
class Step:
    """A request whose variables are not filled in yet."""

    ask: Ask
    lenient: Leniency
    keep: Mapping[str, str]
    until: int | None = None

    def filled(self, variables: Mapping[str, str]) -> Ask:
        """The request with its variables.

        Raises:
            CaseError: There is no such variable.
        """

        def fill(text: str) -> str:
            return _VARIABLE.sub(lambda found: _look_up(found[1], variables), text)

        def fill_bytes(content: bytes | None) -> bytes | None:
            if content is None:
                return None
            return _VARIABLE_BYTES.sub(lambda found: _look_up(found[1].decode(), variables).encode(), content)

        ask = self.ask
        return Ask(
            ask.method,
            fill(ask.target),
            tuple((name, fill(value)) for name, value in ask.headers),
            fill_bytes(ask.body),
            ask.chunked,
            fill_bytes(ask.raw),
        )


@dataclass(frozen=True, slots=True)
class Case:
    """One or more requests in order. In a ``story`` each gateway has variables of its own."""

    id: str
    steps: tuple[Step, ...]
    story: bool = False


@dataclass(frozen=True, slots=True)
class Tables:
    """The cases of a folder, what is told to the reference before them, and what is needed to draw more of them.

    ``actors`` are variables that hold tokens, ``values`` texts by the name of a field, ``lenient`` what answers may differ in by method.
    """

    setup: tuple[Case, ...]
    cases: tuple[Case, ...]
    actors: tuple[str, ...]
    values: Mapping[str, list[str]]
    lenient: Mapping[str, Leniency]


def load_tables(folder: Path) -> Tables:
    """All requests below a folder, ordered by file.

    Raises:
        CaseError: A file is not of the form.
    """
    setup: list[Case] = []
    cases: list[Case] = []
    actors: list[str] = []
    values: dict[str, list[str]] = {}
    lenient: dict[str, Leniency] = {}
    for path in sorted(folder.rglob("*.toml")):
        try:
            file = _File.model_validate(tomllib.loads(path.read_text()))
        except (ValueError, ValidationError) as error:
            message = f"{path.relative_to(folder)}: {error}"
            raise CaseError(message) from error
        actors += file.actors
        values |= file.values
        lenient |= {method: each.leniency for method, each in file.lenient.items()}
        (setup if path.name == SETUP else cases).extend(_cases(path.stem, file))
    return Tables(tuple(setup), tuple(_told_apart(cases)), tuple(actors), values, lenient)


def _cases(stem: str, file: _File) -> Iterator[Case]:
    for table in file.table:
        for name, step in _rows(table):
            yield Case(f"gateway/{stem}: {table.name}: {name}", (step,))
    for raw in file.raw:
        for text in raw.sends:
            ask = Ask(raw=text.encode("utf-8"))
            yield Case(f"gateway/{stem}: {raw.name}: {_brief(text)}", (Step(ask, raw.leniency, {}),))
    for story in file.story:
        steps = [step for each in story.step for _, step in _rows(each, each.keep, each.until)]
        yield Case(f"gateway/{stem}: {story.name}", tuple(steps), story=True)


def _rows(row: _Row, keep: Mapping[str, str] | None = None, until: int | None = None) -> Iterator[tuple[str, Step]]:
    bodies: list[str | _Body | None] = [*row.body] or [None]
    for who, method, target, headers, said in itertools.product(row.who, row.method, row.target, row.headers, bodies):
        fields = [
            (name, each) for name, value in headers.items() for each in ([value] if isinstance(value, str) else value)
        ]
        text = said.text if isinstance(said, _Body) else said
        names = {name.lower() for name, _ in fields}
        if text is not None and "content-type" not in names:
            fields.append(("Content-Type", row.type))
        if who and "authorization" not in names:
            fields.append(("Authorization", f"Bearer ${{{who}}}"))
        body = text.encode() if isinstance(text, str) else text
        name = " ".join(
            filter(None, [method, _brief(target), _brief(headers), _brief(text), f"({who})" if who else ""])
        )
        yield name, Step(Ask(method, target, tuple(fields), body, row.chunked), row.leniency, keep or {}, until)


def _told_apart(cases: list[Case]) -> Iterator[Case]:
    """Cases whose names are alike get a number."""
    seen: dict[str, int] = {}
    for case in cases:
        number = seen[case.id] = seen.get(case.id, 0) + 1
        yield case if number == 1 else Case(f"{case.id} #{number}", case.steps, case.story)


def _brief(value: Any) -> str:
    if not value and value != "":
        return ""
    text = value if isinstance(value, str) else str(value)
    text = text.encode("unicode_escape").decode()
    return text if len(text) <= _NAME_LENGTH else f"{text[:_NAME_LENGTH]}..."


def _look_up(name: str, variables: Mapping[str, str]) -> str:
    if name not in variables:
        message = f"nothing is kept as ${{{name}}}"
        raise CaseError(message)
    return variables[name]
