"""Starting, stopping and crashing, with the whole shop: nothing is left running and nothing accepted is lost."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from refusals import refused
from shop import ROOT, Shop, Visitor

pytestmark = pytest.mark.slow
PATIENCE = 60


def _processes(home: Path) -> list[psutil.Process]:
    """Whatever runs for a home: it names the home, or works inside it, as PostgreSQL does."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        words, folder = process.info["cmdline"] or [], process.info["cwd"] or ""
        of_home = folder.startswith(f"{home}/") or any(word.startswith(str(home)) for word in words)
        if of_home and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Each test begins with it up, and leaves it up or down."""
    shop = Shop(tmp_path_factory.mktemp("life") / "home", environment={"TRICORN_RATE_FACTOR": "100"})
    yield shop
    shop.down()
    shop.wait_until(lambda: not _processes(shop.home), PATIENCE)


@pytest.fixture
def running(shop: Shop) -> Shop:
    if shop.command("status", "--home", str(shop.home), check=False).returncode:
        shop.up()
    return shop


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v1/products", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_after_down_nothing_runs_and_everybody_says_so(running: Shop) -> None:
    assert _processes(running.home)

    first = running.command("down", "--home", str(running.home))
    second = running.command("down", "--home", str(running.home))
    status = running.command("status", "--home", str(running.home), check=False)
    as_json = running.command("status", "--json", "--home", str(running.home), check=False)
    logs = running.command("logs", "--home", str(running.home))

    assert first.stdout == "stopped\n"
    assert second.stdout == f"nothing runs in {running.home}\n"
    assert (status.returncode, status.stdout) == (1, f"nothing runs in {running.home}\n")
    assert (as_json.returncode, as_json.stdout) == (1, "null\n")
    assert "stopped" in logs.stdout
    assert _processes(running.home) == []


def test_ctrl_c_in_a_terminal_stops_all_of_it(running: Shop) -> None:
    """A terminal sends SIGINT to the whole foreground group at once, not to the supervisor alone."""
    running.down()
    with subprocess.Popen(
        [ROOT / "tricorn", "up", "--port", "0", "--home", running.home],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        process_group=0,
    ) as terminal:
        assert terminal.stdout is not None
        next(line for line in terminal.stdout if "answers" in line)
        family = _processes(running.home)

        os.killpg(terminal.pid, signal.SIGINT)
        code = terminal.wait(PATIENCE)

    assert len(family) > 4
    assert code == 0
    assert _processes(running.home) == []


def test_a_killed_supervisor_leaves_nothing_running_and_the_next_start_works(running: Shop) -> None:
    buyer = running.buyer()
    order = buyer.order([(buyer.products(pageSize=1)[0]["productId"], 1)]).json()
    buyer.settled(order["orderId"])

    os.kill(running.pid("supervisor"), signal.SIGKILL)

    running.wait_until(lambda: not _processes(running.home), PATIENCE)
    assert running.command("status", "--home", str(running.home), check=False).returncode == 1
    running.up()
    again = running.visitor()
    again.http.headers = buyer.http.headers
    assert again.http.get(f"/api/v1/orders/{order['orderId']}").json()["state"] == "STATE_COMPLETED"


def test_of_two_starts_at_once_one_wins_and_the_other_says_who(running: Shop) -> None:
    running.down()
    words: list[str | Path] = [ROOT / "tricorn", "up", "--detach", "--port", "0", "--home", running.home]

    both = [
        subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate(timeout=4 * PATIENCE) for process in both]

    assert sorted(process.returncode for process in both) == [0, 1], said
    loser = next(err for process, (_, err) in zip(both, said, strict=True) if process.returncode)
    assert "already up" in loser
    assert "--home" in loser
    assert _answers(running.status()["url"])


def test_data_of_another_postgresql_is_refused_and_left_as_it_was(running: Shop) -> None:
    running.down()
    version = running.home / "postgres" / "PG_VERSION"
    ours = version.read_text()
    version.write_text("17\n")
    size = sum(1 for _ in (running.home / "postgres").rglob("*"))

    done = running.command("up", "--detach", "--port", "0", "--home", str(running.home), check=False)

    assert done.returncode == 1
    assert "PostgreSQL 17" in done.stderr
    assert "--home" in done.stderr
    assert _processes(running.home) == []
    assert sum(1 for _ in (running.home / "postgres").rglob("*")) == size
    version.write_text(ours)
    running.up()
    assert _answers(running.url)


def test_when_postgresql_is_killed_under_load_nothing_that_was_accepted_is_lost(running: Shop) -> None:
    running.url = running.status()["url"]
    films = [film["productId"] for film in running.visitor().products(pageSize=20)]
    buyers = [running.buyer() for _ in range(4)]
    keys: list[list[str]] = [[] for _ in buyers]
    accepted: list[set[str]] = [set() for _ in buyers]
    stop = threading.Event()

    def buy(number: int) -> None:
        while not stop.is_set():
            keys[number].append(str(uuid.uuid4()))
            try:
                answer = buyers[number].order([(films[len(keys[number]) % 20], 1)], key=keys[number][-1])
            except httpx.HTTPError:
                continue
            if answer.status_code == 201:
                accepted[number].add(answer.json()["orderId"])

    threads = [threading.Thread(target=buy, args=(number,)) for number in range(len(buyers))]
    for thread in threads:
        thread.start()
    running.wait_until(lambda: sum(map(len, accepted)) >= 8, PATIENCE)
    os.kill(running.pid("postgres"), signal.SIGKILL)
    before = sum(map(len, accepted))
    running.wait_until(lambda: sum(map(len, accepted)) >= before + 8, PATIENCE)
    stop.set()
    for thread in threads:
        thread.join()

    for buyer, mine in zip(buyers, accepted, strict=True):
        assert mine <= _orders(buyer)
    running.wait_until(lambda: running.sql("SELECT count(*) FROM orders.orders WHERE open") == "0", PATIENCE)
    assert running.sql("SELECT sum(received) - sum(available) - sum(held) - sum(sold) FROM inventory.stock") == "0"
    assert running.command("app", "payments", "audit", "--home", str(running.home), check=False).returncode == 0


def _orders(buyer: Visitor) -> set[str]:
    found: set[str] = set()
    token = ""
    while True:
        page = buyer.http.get("/api/v1/orders", params={"pageSize": 100, "pageToken": token}).json()
        found |= {order["orderId"] for order in page["orders"]}
        token = page["nextPageToken"]
        if not token:
            return found


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A disk of so many megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if sys.platform != "linux" or mount is None or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    words: list[str | Path] = [mount, "-t", "tmpfs", "-o", f"size={request.param}m", "tmpfs", folder]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("this machine allows no mount")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("disk", [48], indirect=True)
def test_a_full_disk_is_said_and_nothing_is_left_running(disk: Path) -> None:
    shop = Shop(disk / "home")

    done = shop.command("up", "--detach", "--port", "0", "--home", str(shop.home), check=False)

    assert done.returncode == 1
    assert "disk is full" in done.stderr.lower() or "no space left" in done.stderr.lower(), done.stderr
    assert "Traceback" not in done.stderr
    assert _processes(shop.home) == []


@pytest.mark.parametrize("disk", [160], indirect=True)
def test_when_the_disk_fills_up_orders_are_refused_until_there_is_room(disk: Path) -> None:
    shop = Shop(disk / "home").up()
    buyer = shop.buyer()
    film = next(film["productId"] for film in buyer.products(pageSize=50) if film["inventory"]["available"] > 60)
    ballast = disk / "ballast"
    _fill(ballast)
    answers = [buyer.order([(film, 1)]) for _ in range(10)]
    reading = [buyer.http.get("/api/v1/products", params={"pageSize": size}) for size in range(1, 6)]

    ballast.unlink()
    shop.wait_until(lambda: buyer.order([(film, 1)]).status_code == 201, PATIENCE)

    refused(answers[-1], 503, "UNAVAILABLE")
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert {answer.status_code for answer in reading} == {200}
    accepted = {answer.json()["orderId"] for answer in answers if answer.status_code == 201}
    assert accepted <= _orders(buyer)
    shop.down()


def _fill(ballast: Path) -> None:
    for size in (1 << 20, 1 << 12, 1):
        with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
            while file.write(b"x" * size) == size:
                pass
