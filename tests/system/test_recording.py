"""Recording a shop at work, and playing it again."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

from shop import ROOT, Shop

from tricorn.prove.orders import PARTS
from tricorn.prove.recording import Recording
from tricorn.v1.recording_pb2 import RecordedCall, RecordingEnd

SECONDS = 60.0


def test_a_recording_that_is_interrupted_keeps_what_there_is_and_is_played_again(agora: Shop, tmp_path: Path) -> None:
    buyer, out = agora.buyer(), tmp_path / "pricing.rec"
    products = [product["productId"] for product in buyer.products(query="a", pageSize=20)]
    with agora.recording("pricing/PriceBasket", out, "--for", "10m") as process:
        for number in range(5):
            assert buyer.quote([(products[number], 2), (products[number + 1], 1)]).status_code == 200

    calls = list(Recording.open(out).calls())
    replayed = agora.command("replay", str(out), "--json", "--rate", "max", "--home", str(agora.home))
    report = json.loads(replayed.stdout)

    assert process.returncode == 0
    assert [call.method for call in calls] == ["PriceBasket"] * 5
    assert all(call.identified for call in calls)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert (report["played"], report["same"], report["different"], report["errors"]) == (5, 5, 0, {})


def test_no_password_and_no_token_is_in_a_recording(agora: Shop, tmp_path: Path) -> None:
    out = tmp_path / "accounts.rec"
    with agora.recording("accounts", out):
        buyer = agora.buyer()
        buyer.http.get("/api/v1/users/me").raise_for_status()

    content = out.read_bytes()
    by_method: dict[str, RecordedCall] = {call.method: call for call in Recording.open(out).calls()}
    assert "request.password" in by_method["Login"].redacted
    assert b"a long enough password" not in content
    assert not any(token.encode() in content for name, token in buyer.tokens.items() if name.endswith("Token"))
    replayed = agora.command("replay", str(out), "--home", str(agora.home), "--json", check=False)
    left_out = json.loads(replayed.stdout)["leftOut"]
    assert left_out["Login may have effects"] == 1


def test_a_recording_ends_by_itself_when_the_command_is_killed(agora: Shop, tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "tricorn", "record", "catalog", "--out", str(tmp_path / "x.rec")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    before = set((agora.home / PARTS).glob("*"))
    process = subprocess.Popen(
        [*command, "--for", "8s", "--home", str(agora.home)], cwd=ROOT, env=environment, start_new_session=True
    )
    agora.wait_until(lambda: bool(set((agora.home / PARTS).glob("*/*.part"))), SECONDS)
    [folder] = set((agora.home / PARTS).glob("*")) - before

    os.killpg(process.pid, signal.SIGKILL)
    process.wait(SECONDS)
    agora.wait_until(lambda: bool(list(folder.glob("shop-*.rec"))), SECONDS)

    whole = Recording.open(next(folder.glob("shop-*.rec")))
    list(whole.calls())
    assert whole.broken == ""
    assert whole.end is not None
    assert whole.end.reason == RecordingEnd.TIME


def test_what_runs_cannot_be_hit_by_recorded_effects(agora: Shop, tmp_path: Path) -> None:
    out = tmp_path / "catalog.rec"
    with agora.recording("catalog", out):
        agora.visitor().products(query="toy")
    endpoints = json.loads((agora.home / "endpoints.json").read_text())["endpoints"]
    [address] = endpoints["agora.catalog.v1.CatalogService"]["python"]

    done = agora.command(
        "replay", str(out), "--with-effects", "--against", address, "--home", str(agora.home), check=False
    )

    assert done.returncode == 1
    assert "which recorded effects would hit again" in done.stderr


def test_shadow_is_refused_where_there_is_nothing_to_compare(agora: Shop) -> None:
    home = ("--home", str(agora.home))

    no_native = agora.command("shadow", "catalog", *home, check=False)
    not_running = agora.command("shadow", "pricing", *home, check=False)
    effects = agora.command("shadow", "payments/Capture", "--to", "rust", *home, check=False)

    assert "catalog has no implementation but python" in no_native.stderr
    assert "no rust implementation of pricing runs here" in not_running.stderr
    assert "may have effects" in effects.stderr
