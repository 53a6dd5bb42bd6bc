"""A running Agora, driven from outside as its users and operators do."""

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg

from tricorn.prove.orders import PARTS

ROOT = Path(__file__).resolve().parents[2]
DEMO_PASSWORD = "agora-demo"
RECORDING_SECONDS = 60.0


class Shop:
    """One application in a home of its own, on a free port.

    ``failpoints`` is a file: what is written there is armed in the running process.
    """

    def __init__(self, home: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.home = home
        self.failpoints = home.parent / f"{home.name}.failpoints"
        self._arguments = arguments
        self._environment = {"TRICORN_FAILPOINTS": f"@{self.failpoints}", **(environment or {})}
        self.url = ""

    def command(self, *arguments: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs ``./tricorn`` as a user would."""
        return subprocess.run(
            [ROOT / "tricorn", *arguments],
            cwd=ROOT,
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=check,
        )

    def up(self, timeout: float = 120) -> Self:
        self.command("up", "--detach", "--port", "0", "--home", str(self.home), *self._arguments, timeout=timeout)
        self.url = str(self.state()["url"])
        return self

    def down(self) -> None:
        self.command("down", "--home", str(self.home))

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.command("status", "--json", "--home", str(self.home)).stdout)
        return status

    def state(self) -> dict[str, Any]:
        """What the supervisor wrote down of itself: less than `status`, and no command has to be started for it."""
        state: dict[str, Any] = json.loads((self.home / "state.json").read_text())
        return state

    def pid(self, process: str = "shop") -> int:
        return int(next(entry["pid"] for entry in self.state()["processes"] if entry["name"] == process))

    def sql(self, statement: str) -> str:
        """What the database says, columns separated by ``|``."""
        with psycopg.connect(self.state()["databaseUrl"], connect_timeout=10) as connection:
            rows = connection.execute(statement).fetchall()
        return "\n".join("|".join("" if value is None else str(value) for value in row) for row in rows)

    def wait_until(self, holds: Callable[[], bool], seconds: float) -> None:
        """Looks until something holds that only the outside shows."""
        until = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < until, f"not within {seconds} s"
            time.sleep(0.1)

    @contextmanager
    def recording(self, target: str, out: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
        """`tricorn record` at work; ended as Ctrl-C would end it."""
        command = [ROOT / "tricorn", "record", target, "--out", str(out), "--home", str(self.home), *options]
        before = set((self.home / PARTS).glob("*/*"))
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                self.wait_until(lambda: bool(set((self.home / PARTS).glob("*/*")) - before), RECORDING_SECONDS)
                yield process
                os.killpg(process.pid, signal.SIGINT)
                process.wait(RECORDING_SECONDS)
            finally:
                process.kill()

    def visitor(self) -> "Visitor":
        return Visitor(self.url)

    def buyer(self) -> "Visitor":
        """Somebody who has just registered and logged in."""
        visitor = self.visitor()
        visitor.register()
        return visitor

    def demo(self, name: str) -> "Visitor":
        """``buyer``, ``seller`` or ``staff``."""
        visitor = self.visitor()
        visitor.log_in(f"{name}@agora.example", DEMO_PASSWORD)
        return visitor


class Visitor:
    """A browser's worth of state: an address, perhaps a token."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30)
        self.tokens: dict[str, Any] = {}

    def register(self) -> None:
        email, password = f"{uuid.uuid4()}@example.com", "a long enough password"
        answer = self.http.post(
            "/api/v1/auth/register", json={"email": email, "password": password, "displayName": "A Buyer"}
        )
        assert answer.status_code == 201, answer.text
        self.log_in(email, password)

    def log_in(self, email: str, password: str) -> None:
        answer = self.http.post("/api/v1/auth/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()
        self.http.headers["Authorization"] = f"Bearer {self.tokens['accessToken']}"

    def products(self, **query: str | int) -> list[dict[str, Any]]:
        answer = self.http.get("/api/v1/products", params=query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["products"]
        return found

    def quote(self, lines: Sequence[tuple[str, int]], *coupons: str) -> httpx.Response:
        return self.http.post("/api/v1/quotes", json={"lines": _lines(lines), "coupons": list(coupons)})

    def order(
        self,
        lines: Sequence[tuple[str, int]],
        *coupons: str,
        key: str | None = None,
        method: str = "test_ok",
        **agreement: object,
    ) -> httpx.Response:
        body = {
            "lines": _lines(lines),
            "coupons": list(coupons),
            "paymentMethod": method,
            **(agreement or {"acceptCurrentPrice": True}),
        }
        return self.http.post("/api/v1/orders", json=body, headers={"Idempotency-Key": key or str(uuid.uuid4())})

    def settled(self, order_id: str) -> dict[str, Any]:
        """Follows an order by its event stream to its end."""
        last: dict[str, Any] = {}
        with self.http.stream("GET", f"/api/v1/orders/{order_id}:watch", timeout=60) as stream:
            assert stream.status_code == 200, stream.read()
            for line in stream.iter_lines():
                if line.startswith('data: {"order"'):
                    last = json.loads(line.removeprefix("data:"))["order"]
        return last


def _lines(lines: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    return [{"productId": product, "quantity": quantity} for product, quantity in lines]
