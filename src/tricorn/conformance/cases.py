"""Cases: the behaviour of a contract, written as files.

A file is JSON: ``{"contract": "package.Service", "contexts": [...], "cases": [...]}``. A case has a ``name`` (a
sentence), the ``method``, ``why`` (what it shows and how the expected value was found), ``state`` (rows by
``schema.table``, all that there are in it; a value ``{"sql": "..."}`` is computed by the database), ``files`` (what lies
in the folders of contexts, by ``context/path``: ``{"text": "..."}`` or ``{"hex": "..."}``), ``caller`` (``user_id``,
``roles``), ``request``, and either ``response`` or ``error`` (``reason`` and, for broken rules, ``violations``: their fields).
``ignore`` names fields of the answer that the case cannot know: a new id, a clock's reading; ``exact`` those that it
knows, though the contract says that they are not compared. ``contexts`` names those that must run besides the
contract's own and those whose state is given; with ``"alone": true`` no others may, since what is missed is the point.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from google.protobuf import json_format
from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tricorn.contract import MethodPolicy, service_policies
from tricorn.host import Manifest
from tricorn.wire import Identity

_FILE = r"^[a-z][a-z0-9_]*(/[\w-][\w.-]*)+$"


class CaseError(ValueError):
    """A case file is wrong; the text says where."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Caller(_Part):
    user_id: str
    roles: list[str] = []
    session_id: str = "conformance"


class _Content(_Part):
    text: str | None = None
    hex: str | None = None

    @model_validator(mode="after")
    def _one_form(self) -> "_Content":
        if (self.text is None) == (self.hex is None):
            message = "a file's content is either text or hex"
            raise ValueError(message)
        bytes.fromhex(self.hex or "")
        return self

    @property
    def content(self) -> bytes:
        return self.text.encode() if self.text is not None else bytes.fromhex(self.hex or "")


class _Error(_Part):
    reason: str
    violations: list[str] = []
    metadata: dict[str, str] = {}


class _Case(_Part):
    name: str = Field(min_length=10)
    method: str
    why: str = Field(min_length=10)
    state: dict[str, list[dict[str, Any]]] = {}
    files: dict[Annotated[str, Field(pattern=_FILE)], _Content] = {}
    caller: _Caller | None = None
    metadata: dict[str, str] = {}
    request: dict[str, Any]
    response: dict[str, Any] | list[dict[str, Any]] | None = None
    error: _Error | None = None
    ignore: list[str] = []
    exact: list[str] = []

    @model_validator(mode="after")
    def _one_outcome(self) -> "_Case":
        if (self.response is None) == (self.error is None):
            message = "a case expects either a response or an error"
            raise ValueError(message)
        return self


class _File(_Part):
    contract: str
    contexts: list[str] = []
    alone: bool = False
    cases: list[_Case]


@dataclass(frozen=True, slots=True)
class ExpectedError:
    """The reason, the fields of broken rules, and metadata that must be among the answer's."""

    reason: str
    violations: tuple[str, ...]
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One case, its messages parsed. ``responses`` has several entries for a stream."""

    id: str
    name: str
    policy: MethodPolicy
    contexts: tuple[str, ...]
    state: dict[str, list[dict[str, Any]]]
    files: dict[str, bytes]
    caller: Identity | None
    metadata: dict[str, str]
    request: Message
    responses: tuple[Message, ...]
    error: ExpectedError | None
    ignore: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    alone: bool = False

    @property
    def stateless(self) -> bool:
        """Needs nothing to be there before it."""
        return not self.state and not self.files

    @property
    def reads(self) -> bool:
        """Needs nothing and changes nothing: an implementation that answered other such cases may answer it."""
        return self.stateless and self.policy.safe


def load_cases(manifest: Manifest, folder: Path, only: Sequence[str] = ()) -> list[Case]:
    """The cases below a folder, ordered by file; ``only`` keeps those of the contexts or contracts named (``agora.pricing.v1.PricingService``,
    ``PricingService`` or ``pricing``).

    Raises:
        CaseError: A file is not of the form, a message in it does not fit its contract, or nothing is called what ``only`` names.
    """
    contracts = [contract for context in manifest.contexts.values() for contract in context.contracts]
    known = {*manifest.contexts, *(name for contract in contracts for name in _names(contract))}
    if unknown := [name for name in only if name not in known]:
        message = f"there is no context or contract {unknown[0]!r}; contexts are {', '.join(manifest.contexts)}"
        raise CaseError(message)
    return [case for path in sorted(folder.rglob("*.json")) for case in _read(manifest, folder, path, only)]


def _names(contract: str) -> tuple[str, str, str]:
    """All that a contract may be called in a command."""
    last = contract.rpartition(".")[2]
    return contract, last, last.removesuffix("Service").lower()


def _read(manifest: Manifest, folder: Path, path: Path, only: Sequence[str]) -> Iterator[Case]:
    relative = path.relative_to(folder)
    try:
        file = _File.model_validate(json.loads(path.read_text()))
    except (ValueError, ValidationError) as error:
        message = f"{relative}: {error}"
        raise CaseError(message) from error
    owner = next((name for name, context in manifest.contexts.items() if file.contract in context.contracts), None)
    if owner is None:
        message = f"{relative}: no context of tricorn.toml has the contract {file.contract}"
        raise CaseError(message)
    if only and not {owner, *_names(file.contract)} & set(only):
        return
    policies = {policy.name: policy for policy in service_policies(file.contract)}
    for case in file.cases:
        where = f"{relative.with_suffix('')}: {case.name}"
        if case.method not in policies:
            message = f"{where}: {file.contract} has no method {case.method}"
            raise CaseError(message)
        policy = policies[case.method]
        schemas = {table.partition(".")[0] for table in case.state} & set(manifest.contexts)
        answers = (
            case.response if isinstance(case.response, list) else [case.response] if case.response is not None else []
        )
        yield Case(
            id=where,
            name=case.name,
            policy=policy,
            contexts=tuple(sorted({owner, *file.contexts, *schemas})),
            state=case.state,
            files={name: file.content for name, file in case.files.items()},
            caller=_identity(case.caller),
            metadata=case.metadata,
            request=_message(where, policy.input, case.request),
            responses=tuple(_message(where, policy.output, answer) for answer in answers),
            error=None
            if case.error is None
            else ExpectedError(case.error.reason, tuple(case.error.violations), case.error.metadata),
            ignore=tuple(case.ignore),
            exact=tuple(case.exact),
            alone=file.alone,
        )


def _identity(caller: _Caller | None) -> Identity | None:
    return None if caller is None else Identity(caller.user_id, caller.session_id, frozenset(caller.roles))


def _message(where: str, kind: type[Message], said: dict[str, Any]) -> Message:
    try:
        return json_format.ParseDict(said, kind())
    except json_format.ParseError as error:
        message = f"{where}: {error}"
        raise CaseError(message) from error
