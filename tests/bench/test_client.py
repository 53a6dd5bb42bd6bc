"""The load client says what the measurements read."""

import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import client
from client import Class

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not client.have_go(), reason="there is no go")]


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/known" else 404)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    client.program()


def _request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode()


def test_both_loops_tell_good_answers_from_bad_ones(address: str, tmp_path: Path) -> None:
    known = Class("known", 1, [_request("/known")])
    plan = client.write_plan(tmp_path / "plan.json", [known, Class("nobody", 1, [_request("/nobody")])])

    closed = client.ask("http", address=address, plan=plan, callers=2, seconds=0.3)
    paced = client.ask("http", address=address, plan=plan, callers=2, seconds=0.3, rate=100)
    wanted = client.ask("http", address=address, plan=plan, callers=2, seconds=0.3, expect=404, fresh=True)

    for found in (closed, paced, wanted):
        good = found["statuses"].get("200", 0)
        assert found["requests"] == good + found["statuses"].get("404", 0) > 0
        assert found["p50Ms"] <= found["p95Ms"] <= found["p99Ms"] <= found["longestMs"]
        assert [each["name"] for each in found["classes"]] == ["known", "nobody"]
        assert {"perSecond", "longestGapMs", "clientCpuSeconds"} <= set(found)
    assert closed["failures"] == closed["statuses"].get("404", 0)
    assert paced["requests"] == 30
    assert wanted["failures"] == wanted["statuses"].get("200", 0)


def test_connections_are_held_as_long_as_they_are_looked_at(address: str) -> None:
    with client.running("hold", address=address, path="/known", connections=20) as held:
        assert (held["held"], held.get("failure")) == (20, None)


def test_a_bare_handler_answers_until_it_is_let_go(tmp_path: Path) -> None:
    like = tmp_path / "like.json"
    like.write_text('{"headers": {"ETag": "1"}, "body": "{}"}')
    plan = client.write_plan(tmp_path / "plan.json", [Class("one", 1, [_request("/anything")])])

    with client.running("bare", like=like) as bare:
        found = client.ask("http", address=bare["address"], plan=plan, callers=1, seconds=0.2)

    assert found["requests"] > 0
    assert found["failures"] == 0


def test_the_disk_is_timed(tmp_path: Path) -> None:
    found = client.ask("fsync", folder=tmp_path, count=5)

    assert 0 < found["p50Ms"] <= found["longestMs"]
