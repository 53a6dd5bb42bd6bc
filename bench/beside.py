"""What is measured side by side in one run: the shapes of Agora, and the rivals."""

import contextlib
import json
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import client
import machine
from plans import Facts, Plans, facts, prepare
from rivals.running import NAMES, Rival
from shop import Shop

from tricorn.host.natives import BUILDS_VARIABLE

ROOT = Path(__file__).resolve().parents[1]
# Rate limits are not what is measured; failpoints read from a file, as the system tests use them, cost a look at it.
ENVIRONMENT = {"TRICORN_RATE_FACTOR": "1000", "TRICORN_FAILPOINTS": ""}
WANTED = {"pricing": "rust", "signing": "rust", "inventory": "go", "gateway": "go"}
"""Who answers for what in the native shape."""
_UP_SECONDS = 1800.0
_BIND_SECONDS = 60.0
_LOOK_SECONDS = 2.0
"""Between two looks at what is being built: a look is a command, and takes of what builds."""
_GROWING = {"waiting", "building", "starting", "checking"}
_POSTGRES = "postgres"
_OWN = {"date", "content-length", "connection"}
"""Headers that a server writes by itself."""
_CALM_SECONDS = 0.5
_CALM_CPU = 0.04
"""Seconds of CPU in that time below which nothing is left to be done; an idle shape takes half of it."""
_AFTERWARDS = 15.0
"""Seconds at most in which what requests leave to be done (capture, events, the ledger's chain) comes to its end."""


@dataclass
class Side:
    """One of them while it runs. ``shop`` is None for whoever is no shape, and ``processes`` are its own then; ``postgres`` is 0 without one."""

    name: str
    url: str
    database: str
    known: Facts
    shop: Shop | None = None
    processes: Mapping[str, int] = field(default_factory=dict)
    postgres: int = 0
    _plans: dict[str, Path] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return urlsplit(self.url).netloc

    def roots(self) -> dict[str, int]:
        """The processes that answer, PostgreSQL and the supervisor left out; with each come those that it started."""
        if self.shop is None:
            return dict(self.processes)
        return {
            each["name"]: each["pid"]
            for each in self.state()["processes"]
            if each["pid"] and each["name"] not in {_POSTGRES, "supervisor"}
        }

    def state(self) -> dict[str, Any]:
        """What the supervisor has written down."""
        found: dict[str, Any] = json.loads((self._shop.home / "state.json").read_text())
        return found

    def cpu(self) -> dict[str, float]:
        """Seconds that each has used so far, PostgreSQL included."""
        roots = self.roots() | ({_POSTGRES: self.postgres} if self.postgres else {})
        return {name: machine.cpu_seconds(pid) for name, pid in roots.items()}

    def memory(self) -> dict[str, float]:
        """MiB of PSS of each with what it started, PostgreSQL left out, the supervisor's own included."""
        sizes = {name: machine.pss_mib(pid) for name, pid in self.roots().items()}
        if self.shop is not None:
            pid = next(each["pid"] for each in self.state()["processes"] if each["name"] == "supervisor")
            sizes["supervisor"] = machine.pss_mib(pid, children=False)
        return {name: round(size, 1) for name, size in sizes.items()}

    def sql(self, statement: str) -> str:
        """What a shape's database says, columns separated by ``|``."""
        return self._shop.sql(statement)

    def plan(self, name: str, folder: Path, plans: Plans) -> Path:
        """The file with a scenario's requests; made once for each run."""
        if name not in self._plans:
            path = folder / f"{self.known.kid}-{name.replace(' ', '-')}.json"
            self._plans[name] = path if path.exists() else client.write_plan(path, plans.classes(name))
        return self._plans[name]

    def forget_plans(self) -> None:
        """Before tokens end."""
        for path in self._plans.values():
            path.unlink(missing_ok=True)
        self._plans.clear()

    @property
    def _shop(self) -> Shop:
        if self.shop is None:
            raise ValueError(f"{self.name} is no shape of Agora")
        return self.shop


@dataclass(frozen=True, slots=True)
class Window:
    """Some seconds of closed load. CPU is ms for one request, by process."""

    report: Mapping[str, Any]
    cpu: Mapping[str, float]

    @property
    def rate(self) -> float:
        return float(self.report["perSecond"])

    @property
    def cpu_ms(self) -> float:
        return sum(self.cpu.values())

    @property
    def client_ms(self) -> float:
        """What the client took of the machine for one request."""
        return float(1000 * self.report["clientCpuSeconds"] / max(self.report["requests"], 1))


def window(side: Side, plan: Path, **options: Any) -> Window:
    """Loads a side once, and counts the CPU that it took, with what the requests left to be done."""
    before = side.cpu()
    report = client.ask("http", address=side.address, plan=plan, seed=time.time_ns() % 2**31, **options)
    after = _calm(side)
    answered = max(report["requests"] - report["failures"], 1)
    spent = {name: 1000 * (after[name] - before.get(name, 0.0)) / answered for name in after}
    return Window(report, spent)


def answer_to(side: Side, request: bytes) -> dict[str, Any]:
    """What a side answers to a request without a body, for a bare handler to give as well: headers and body."""
    line, *headers = request.decode().split("\r\n\r\n")[0].split("\r\n")
    asked = urllib.request.Request(  # noqa: S310 - our own address
        f"{side.url}{line.split()[1]}", headers=dict(header.split(": ", 1) for header in headers)
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - our own address
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OWN}
        return {"headers": kept, "body": answer.read().decode()}


def _calm(side: Side) -> dict[str, float]:
    """What each has used when all that the requests left to be done is done."""
    until = time.monotonic() + _AFTERWARDS
    spent = side.cpu()
    while time.monotonic() < until:
        time.sleep(_CALM_SECONDS)
        before, spent = spent, side.cpu()
        if sum(spent.values()) - sum(before.values()) <= _CALM_CPU:
            return spent
    return spent


@contextlib.contextmanager
def shape(name: str, **environment: str) -> Iterator[Side]:
    """A shop of its own, with the load's customers in it: ``python``, or ``native``, which is what `grow` becomes.

    The native one has all bound that is built and passes its cases, even where its evidence is stale: figures are measured
    before that is made anew. What is not there is said.
    """
    with started("grow" if name == "native" else name, **environment) as shop:
        side = _side(name, shop)
        if name == "native":
            _bind_all(side)
        yield side


@contextlib.contextmanager
def started(shape: str, **environment: str) -> Iterator[Shop]:
    """A shop of its own with the demonstration data, as `tricorn up` starts that shape."""
    # What is built already is not built again for a home of the shop's own.
    builds = os.environ.get(BUILDS_VARIABLE, str(ROOT / ".tricorn" / "build"))
    with tempfile.TemporaryDirectory(prefix="tricorn-bench-") as folder:
        given = {**ENVIRONMENT, BUILDS_VARIABLE: builds, **environment}
        shop = Shop(Path(folder) / "home", "--shape", shape, environment=given)
        try:
            yield shop.up(_UP_SECONDS)
        finally:
            shop.down()


@contextlib.contextmanager
def rival(name: str, beside: Side) -> Iterator[Side]:
    """A rival with a database on that side's server, filled from it; the same customers with the same tokens."""
    with tempfile.TemporaryDirectory(prefix="tricorn-bench-") as folder:
        started = Rival.start(name, beside.database, Path(folder) / "log")
        try:
            prepare(started.database, "rival")
            own = {name: started.process.pid}
            yield Side(name, started.url, started.database, beside.known, processes=own, postgres=beside.postgres)
        finally:
            started.stop()


@contextlib.contextmanager
def all_sides() -> Iterator[list[Side]]:
    """Both shapes and both rivals, the latter on the server of the Python shape. A native shape that does not start is left out, aloud."""
    with contextlib.ExitStack() as stack:
        sides = [stack.enter_context(shape("python"))]
        native = try_native(stack)
        sides += [native] if native else []
        sides += [stack.enter_context(rival(name, sides[0])) for name in NAMES]
        yield sides


def try_native(stack: contextlib.ExitStack) -> Side | None:
    """The native shape, or None with the reason said."""
    try:
        return stack.enter_context(shape("native"))
    except subprocess.CalledProcessError as error:
        print(
            f"LEFT OUT, the native shape: it did not start.\n{(error.stderr or error.stdout or '').strip()[-1500:]}",
            flush=True,
        )
        return None


def _bind_all(side: Side) -> None:
    until = time.monotonic() + _UP_SECONDS
    while any(part["stage"] in _GROWING for part in _native(side)) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    for target, who in WANTED.items():
        if bound(side)[target] == who:
            continue
        try:
            bind(side, target, who)
        except subprocess.CalledProcessError as error:
            print(f"LEFT OUT, {target} in {who}: {_last_words(error)}", flush=True)


def bind(side: Side, target: str, who: str) -> None:
    """Returns when it is done.

    Raises:
        subprocess.CalledProcessError: it was refused.
    """
    home = side._shop.home  # noqa: SLF001 - the same module
    side._shop.command("bind", f"{target}={who}", "--home", str(home), timeout=_UP_SECONDS)  # noqa: SLF001
    side._shop.wait_until(lambda: bound(side)[target] == who, _BIND_SECONDS)  # noqa: SLF001


def _native(side: Side) -> list[dict[str, Any]]:
    """The native parts and how far each of them is."""
    found: list[dict[str, Any]] = side._shop.status()["parts"]  # noqa: SLF001 - the same module
    return found


def _last_words(error: subprocess.CalledProcessError) -> str:
    return (error.stderr or error.stdout or "it did not say why").strip()[-1500:]


def bound(side: Side) -> dict[str, str]:
    """Who answers for each contract of a shape, and for the gateway: ``go``, ``rust`` or ``python``."""
    held = json.loads((side._shop.home / "bindings.json").read_text())["bindings"]  # noqa: SLF001 - the same module
    names = {each["contract"]: each["name"] for each in side.state()["services"]}
    return {
        name: _most(held.get(contract, {}).get("shares", {}))
        for contract, name in {**names, "gateway": "gateway"}.items()
    }


def where(side: Side, contract: str, who: str) -> tuple[str, str]:
    """The address at which an implementation answers, and its process."""
    status = side._shop.status()  # noqa: SLF001 - the same module
    parts = [part for part in status["parts"] if contract in part["contracts"] and part["language"] == who]
    found = next(iter(parts), None) or next(each for each in status["services"] if each["contract"] == contract)
    return str(found["address"]), str(found["process"])


def native_parts(side: Side) -> str:
    """For people: what of a shape has left Python, and what has not."""
    found = bound(side)
    left = [f"{name} {who}" for name, who in found.items() if who != "python"]
    stayed = [name for name, who in found.items() if who == "python"]
    return f"{', '.join(left) or 'nothing'} native; in Python: {', '.join(stayed) or 'nothing'}"


def _most(shares: Mapping[str, int]) -> str:
    return max(shares, key=lambda who: shares[who]) if shares else "python"


def _side(name: str, shop: Shop) -> Side:
    state = json.loads((shop.home / "state.json").read_text())
    postgres = next(each["pid"] for each in state["processes"] if each["name"] == _POSTGRES)
    url = state["databaseUrl"]
    prepare(url, "agora")
    return Side(name, shop.url, url, facts(url), shop=shop, postgres=postgres)
