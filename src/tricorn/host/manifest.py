"""``tricorn.toml``: what an application consists of."""

import importlib
import pkgutil
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tricorn.host.references import GATEWAY, NAME, check_references

if TYPE_CHECKING:
    from tricorn.contract.codegen import Source

FILE_NAME = "tricorn.toml"


class ManifestError(ValueError):
    """``tricorn.toml`` is missing or wrong; the text says where and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Application(_Part):
    """The name (also of its database roles), where its Python is, and its protos: ``proto`` holds the folder ``package``."""

    name: str = Field(pattern=NAME)
    title: str
    version: str = "0.1.0"
    python_path: list[str] = ["src"]
    proto: str = "proto"
    package: str
    python_package: str
    settings: list[str] = []


class Auth(_Part):
    """Whose tokens the gateway believes, and the methods that give the keys and the revoked sessions."""

    issuer: str
    audience: str
    keys: str
    revocations: str


class Rate(_Part):
    """``limit`` calls in ``period_seconds``, of which ``burst`` may come at once.

    ``when_blind`` is for gateways that count together in Redis: while that is away, calls are counted by each gateway alone (``open``) or
    refused (``closed``).
    """

    limit: int = Field(ge=1)
    period_seconds: float = Field(gt=0)
    burst: int = Field(ge=1)
    when_blind: Literal["open", "closed"] = "open"


class Context(_Part):
    """A bounded part of the business: its Python package, its contracts, the PostgreSQL extensions it needs, and who runs its migrations
    (``module:function(owner_url, schema)``; empty: Alembic).
    """

    package: str
    contracts: list[str] = []
    database: bool = True
    migrate: str = ""
    extensions: list[str] = []


class Need(_Part):
    """A program that a build cannot do without, and how to get it without being root."""

    tool: str = Field(min_length=1)
    how: str = Field(min_length=1)


class Native(_Part):
    """A part in another language than Python: one program, which runs as one process.

    ``root``, where ``build`` runs, and ``sources``, whose change makes a new build, are relative to ``tricorn.toml``;
    ``binary`` is relative to the build's own folder, which stands for ``{build}`` in ``build`` and is in CARGO_TARGET_DIR and TRICORN_BUILD.

    It answers ``contracts`` as a whole, and ``methods`` (``package.Service/Method``) of other contracts where it is the gateway. ``shared``
    are those of its ``contracts`` whose rows, idempotency keys included, it keeps in the same tables as Python: their methods with effects
    may be split. With ``gateway`` it can own the public port.

    ``databases`` are the contexts whose runtime role it gets, in TRICORN_DATABASE_CONTEXT; ``reads`` those whose published views it may
    read, by a role of its own that may do nothing else, in TRICORN_DATABASE_PUBLISHED. ``connections`` are how many it may hold in all.
    """

    language: str = Field(pattern=NAME)
    root: str = Field(min_length=1)
    build: list[str] = Field(min_length=1)
    binary: str = Field(min_length=1)
    sources: list[str] = Field(min_length=1)
    contracts: list[str] = []
    shared: list[str] = []
    needs: list[Need] = []
    gateway: bool = False
    methods: list[str] = []
    databases: list[str] = []
    reads: list[str] = []
    connections: int = Field(default=16, ge=1, le=200)

    @property
    def targets(self) -> list[str]:
        """Everything that it can be bound for: contracts, the gateway, methods."""
        return [*self.contracts, *([GATEWAY] if self.gateway else []), *self.methods]


class ProcessPart(_Part):
    """What a process holds: contexts in Python, or one native part."""

    contexts: list[str] = []
    gateway: bool = False
    native: str = ""


class Shape(_Part):
    """Processes in order of need. In one that ``grows`` Python answers first, and native parts join it while it serves."""

    processes: list[str] = Field(min_length=1)
    grows: bool = False


class Verify(_Part):
    """How a contract is verified, by its short or full name. ``generator`` (``module:function``) makes requests of the shape that the business
    has: ``function(random, method)`` gives one for the method of that name, or None.

    The rest is for contracts with effects, see `tricorn.prove.effects`. ``scene`` (``module:function``, given a random) makes what there is
    before a sequence of calls, and requests that speak of it; ``state`` are the queries whose rows are the state that is compared (by
    default the context's published views); ``history`` makes what several callers do at once, with the model that judges it, while
    ``invariants`` are queries that never give a row. ``environment`` is that of the implementations in sequences, ``background`` in
    histories.
    """

    generator: str = ""
    scene: str = ""
    state: list[str] = []
    history: str = ""
    invariants: list[str] = []
    environment: dict[str, str] = {}
    background: dict[str, str] = {}


class Demo(_Part):
    """``fill`` loads demonstration data (``module:function``); ``ready`` is a GET path that answers 200 once it can be seen.

    ``note`` is what `up` says about the data, e.g. who may log in.
    """

    fill: str
    note: str = ""
    ready: str = "/health/ready"


class Declared(_Part):
    """The whole file."""

    application: Application
    auth: Auth | None = None
    roles: dict[str, str] = {}
    rates: dict[str, Rate] = {}
    contexts: dict[str, Context]
    natives: dict[str, Native] = {}
    processes: dict[str, ProcessPart]
    shapes: dict[str, Shape]
    demo: Demo | None = None
    verify: dict[str, Verify] = {}
    commands: dict[str, str] = {}

    @model_validator(mode="after")
    def _refers_to_what_is_there(self) -> "Declared":
        check_references(self)
        return self


@dataclass(frozen=True)
class Manifest:
    """A checked ``tricorn.toml`` and the folder it lies in."""

    root: Path
    file: Declared = field(repr=False)

    @property
    def application(self) -> Application:
        return self.file.application

    @property
    def name(self) -> str:
        return self.file.application.name

    @property
    def auth(self) -> Auth | None:
        return self.file.auth

    @property
    def roles(self) -> Mapping[str, str]:
        return self.file.roles

    @property
    def rates(self) -> Mapping[str, Rate]:
        return self.file.rates

    @property
    def contexts(self) -> Mapping[str, Context]:
        return self.file.contexts

    @property
    def natives(self) -> Mapping[str, Native]:
        return self.file.natives

    @property
    def contracts(self) -> list[str]:
        """Every contract of every context, in the order of the file."""
        return [contract for context in self.contexts.values() for contract in context.contracts]

    def native_of(self, contract: str) -> Native | None:
        """The native part that answers a contract; None: Python alone does."""
        return next((native for native in self.natives.values() if contract in native.contracts), None)

    @property
    def edge(self) -> Native | None:
        """The native part that can own the public port; None: the gateway is Python's alone."""
        return next((native for native in self.natives.values() if native.gateway), None)

    @property
    def processes(self) -> Mapping[str, ProcessPart]:
        return self.file.processes

    @property
    def shapes(self) -> Mapping[str, Shape]:
        return self.file.shapes

    @property
    def demo(self) -> Demo | None:
        return self.file.demo

    @property
    def verify(self) -> Mapping[str, Verify]:
        return self.file.verify

    @property
    def commands(self) -> Mapping[str, str]:
        return self.file.commands

    @property
    def proto_source(self) -> "Source":
        """Where the protos are and where their Python goes: beside the application's own packages."""
        from tricorn.contract.codegen import Source  # noqa: PLC0415 - see activate

        application = self.application
        output = self.root / application.python_path[0] / application.python_package
        return Source(self.root / application.proto, application.package, application.python_package, output)

    def migrations(self, context: str) -> Path:
        """The folder of a context's migrations."""
        package = self.contexts[context].package.replace(".", "/")
        for path in self.application.python_path:
            folder = self.root / path / package / "migrations"
            if folder.is_dir():
                return folder
        return self.root / self.application.python_path[0] / package / "migrations"

    def activate(self) -> None:
        """Makes the application importable and declares its contracts and reasons. Doing it again changes nothing."""
        # Imported here, because the supervisor reads the manifest and needs no contracts.
        from google.protobuf import descriptor_pool  # noqa: PLC0415

        from tricorn.contract import declare_reasons  # noqa: PLC0415

        for path in reversed(self.application.python_path):
            absolute = str((self.root / path).resolve())
            # A copy of the application that was active before must not stand in front of this one.
            if absolute in sys.path:
                sys.path.remove(absolute)
            sys.path.insert(0, absolute)
        package = importlib.import_module(self.application.python_package)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("_pb2"):
                importlib.import_module(module.name)
        pool = descriptor_pool.Default()
        try:
            declare_reasons([pool.FindEnumTypeByName(f"{self.application.package}.v1.Reason")])
        except KeyError:
            return  # an application without reasons of its own


def find_manifest(folder: Path) -> Path:
    """``tricorn.toml`` in a folder, or in its ``agora`` folder.

    Raises:
        ManifestError: There is none.
    """
    candidates = [folder / FILE_NAME, *sorted(folder.glob(f"*/{FILE_NAME}"))]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    message = f"no {FILE_NAME} in {folder} or in a folder of it; name the application's folder with --app"
    raise ManifestError(message)


def load_manifest(path: Path) -> Manifest:
    """Reads and checks ``tricorn.toml``; ``path`` is the file or the folder it lies in.

    Raises:
        ManifestError: It is missing or wrong.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        said = tomllib.loads(file.read_text())
    except FileNotFoundError as error:
        message = f"{file}: no such file"
        raise ManifestError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{file}: not TOML: {error}"
        raise ManifestError(message) from error
    try:
        return Manifest(file.resolve().parent, Declared.model_validate(said))
    except ValidationError as error:
        found = [
            f"{'.'.join(str(part) for part in each['loc'])}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        ]
        message = f"{file}: {'; '.join(entry.removeprefix(': ') for entry in found)}"
        raise ManifestError(message) from error


def resolve(name: str) -> Callable[..., Any]:
    """What ``module:attribute`` names."""
    module, _, attribute = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found
