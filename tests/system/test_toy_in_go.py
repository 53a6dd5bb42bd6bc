"""The platform's Go without the shop: a part of the toy application, made against the source of `go/tricorn`, answers and takes events."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from refusals import PROBLEM
from toy_notes import ADDED, GROUP, TALLY, Notes, is_gos, note_added

from tricorn.contract import Refusal
from tricorn.v1 import events_pb2
from tricorn.v1.events_tricorn import EventSinkServiceClient
from tricorn.wire import OneChannel, Wire, read_endpoints
from tricorn.wire.remote import RemoteChannel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
PLATFORM = ROOT / "go" / "tricorn"
PATIENCE = 60
BUILD_SECONDS = 900

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("go") is None, reason="the toy's part is built with go, and there is none"),
]


class Toy:
    """A copy of the toy application with a part in Go."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder / "app", folder / "home"
        shutil.copytree(
            ROOT / "tests/toy/app", self.folder, ignore=shutil.ignore_patterns("__pycache__", "toy_proto", "docs")
        )
        shutil.copytree(ROOT / "tests/toy/go", self.folder / "native")
        native = self.folder / "native"
        (native / "buf.gen.yaml").rename(self.folder / "proto" / "buf.gen.yaml")
        (native / "conformance").rename(self.folder / "conformance")
        added = native / "added.toml"
        (self.folder / "tricorn.toml").open("a").write(added.read_text())
        added.unlink()
        # What the platform needs, a part of the toy needs too, in the same versions.
        module = re.sub(
            r"^module .*$", "module toy/native", (PLATFORM / "go.mod").read_text(), count=1, flags=re.MULTILINE
        )
        (native / "go.mod").write_text(f"{module}\nrequire tricorn v0.0.0\n\nreplace tricorn => {PLATFORM}\n")
        shutil.copy(PLATFORM / "go.sum", native / "go.sum")

    def tricorn(self, *words: str, status: int = 0) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRICORN_", "DATABASE_"))}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tricorn", "--app", str(self.folder), *words],
            env={**kept, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def at_home(self, *words: str) -> str:
        return self.tricorn(*words, "--home", str(self.home))

    def status(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.at_home("status", "--json"))
        return said

    def service(self) -> dict[str, Any]:
        return next(each for each in self.status()["services"] if each["name"] == "tally")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    toy = Toy(tmp_path_factory.mktemp("toy_in_go"))
    toy.tricorn("gen")
    return toy


@pytest.fixture(scope="module")
def notes(toy: Toy, client: httpx.Client) -> Iterator[Notes]:
    """The toy's rows; its methods are Python's from now on, so that the tally's events alone can be divided."""
    toy.at_home("bind", "tally/GetTally=python")
    notes = Notes(toy.home)
    yield notes
    notes.close()


@pytest.fixture(scope="module")
def client(toy: Toy) -> Iterator[httpx.Client]:
    toy.tricorn("up", "--detach", "--port", "0", "--home", str(toy.home))
    # Nobody has verified it: what grows leaves it in Python, and an operator may decide otherwise.
    deadline = time.monotonic() + BUILD_SECONDS
    while "nobody has verified" not in toy.service()["place"]:
        assert time.monotonic() < deadline, toy.service()
        time.sleep(0.5)
    toy.at_home("bind", "tally=go")
    with httpx.Client(base_url=toy.status()["url"], timeout=30) as client:
        yield client
    assert toy.at_home("down") == "stopped\n"


def test_its_code_is_made_by_gen_and_is_fresh_afterwards(toy: Toy) -> None:
    made = toy.folder / "native/gen/toy/tally/v1/tally_grpc.pb.go"
    left = made.with_name("left_over.pb.go")
    fresh = toy.tricorn("gen", "--check")
    text = made.read_text()
    made.write_text(text + "// by hand\n")
    left.write_text("package tallyv1\n")

    said = toy.tricorn("gen", "--check", status=1)
    mended = toy.tricorn("gen")

    assert fresh == "everything is fresh\n"
    assert {Path(line.removeprefix("stale ")).name for line in said.splitlines()} == {made.name, left.name}
    assert mended.count("made ") == 2
    assert made.read_text() == text
    assert not left.exists()


def test_go_takes_what_python_publishes_and_answers_from_it(toy: Toy, client: httpx.Client) -> None:
    assert client.post("/api/v1/notes", json={"author": "Ada", "text": "First."}).status_code == 201

    deadline = time.monotonic() + PATIENCE
    while client.get("/api/v1/tally/Ada").json() != {"author": "Ada", "notes": "1"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    service = toy.service()
    assert (service["implementation"], service["process"], service["share"]) == ("go", "tally", 10_000)
    assert client.get("/api/v1/tally/nobody").json() == {"author": "nobody", "notes": "0"}


def test_a_reason_of_the_toy_crosses_from_go(client: httpx.Client) -> None:
    answer = client.get("/api/v1/tally/the censor")

    assert (answer.status_code, answer.headers["content-type"]) == (423, PROBLEM)
    assert (answer.json()["code"], answer.json()["metadata"]) == ("NOTE_LOCKED", {"author": "the censor"})


def test_python_answers_again_when_it_is_bound(toy: Toy, client: httpx.Client) -> None:
    toy.at_home("bind", "tally=python")

    deadline = time.monotonic() + PATIENCE
    while client.get("/api/v1/tally/the censor").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_its_events_are_taken_by_whom_the_contract_is_bound_to(toy: Toy, notes: Notes) -> None:
    for step, (to, share) in enumerate((("python", 0), ("go", 10_000), ("go:50", 5000), ("python", 0))):
        toy.at_home("bind", f"tally={to}")
        subjects = [f"{step}/{number}" for number in range(20)]
        for subject in subjects:
            notes.publish(subject, "ada", "ada")

        taken = notes.wait_until_taken(40, subjects)

        who = {subject: "go" if is_gos(subject, share) else "python" for subject in subjects}
        assert sorted(taken) == sorted((subject, number, who[subject]) for subject in subjects for number in (1, 2))


def test_all_events_take_effect_once_and_in_order_while_the_binding_moves_and_the_part_is_killed(
    toy: Toy, notes: Notes
) -> None:
    subjects = [f"meanwhile/{number}" for number in range(12)]
    with notes.published_meanwhile(subjects) as counted:
        for to in ("go", "python", "go:50", "go"):
            toy.at_home("bind", f"tally={to}")
        notes.kill_within_a_delivery("killed")
        before = len(notes.taken(subjects))
        notes.wait_until(lambda: "go" in {who for _, _, who in notes.taken(subjects)[before:]})
        toy.at_home("bind", "tally=go:50")
        notes.kill()
        toy.at_home("bind", "tally=python")
    notes.wait_until_taken(3, ["killed"])

    taken = notes.wait_until_taken(sum(counted), subjects)

    for subject in subjects:
        found = [sequence for each, sequence, _ in taken if each == subject]
        assert found == [*range(1, len(found) + 1)]
    assert len(taken) == sum(counted) > len(subjects)
    assert {who for _, _, who in taken} == {"python", "go"}
    assert [sequence for _, sequence, _ in notes.taken(["killed"])] == [1, 2, 3]
    assert notes.sql("SELECT notes FROM tally.tally WHERE author = 'meanwhile'") == [(len(taken),)]
    notes.wait_until(lambda: "eventsink/Deliver since its start were answered by python" in toy.at_home("status"))


def test_a_poisoned_event_is_the_same_dead_letter_from_both_and_is_redriven(toy: Toy, notes: Notes) -> None:
    toy.at_home("bind", "tally=go:50")
    here = next(subject for number in range(100) if not is_gos(subject := f"poisoned/{number}"))
    there = next(subject for number in range(100) if is_gos(subject := f"poisoned/{number}"))
    notes.sql("INSERT INTO tally.uncounted VALUES ('nobody')")
    for subject in (here, there):
        notes.publish(subject, "ada", "nobody", "ada")
    notes.wait_until(lambda: notes.sql("SELECT count(*) FROM notes.dead_letter") == [(4,)])
    letters = json.loads(toy.at_home("events", "dead-letters", "--json"))

    notes.sql("DELETE FROM tally.uncounted")
    toy.at_home("events", "redrive", "--group", GROUP)
    notes.wait_until_taken(6, [here, there])

    said = {(each["subject"], each["state"]): each["error"] for each in letters}
    assert said[here, "parked"] == said[there, "parked"] == "NOTE_LOCKED: nobody counts the note n"
    assert said[here, "waiting"] == said[there, "waiting"]
    assert notes.taken([here]) == [(here, number, "python") for number in (1, 2, 3)]
    assert notes.taken([there]) == [(there, number, "go") for number in (1, 2, 3)]


async def test_both_sinks_answer_the_same_and_write_the_same(toy: Toy, notes: Notes) -> None:
    toy.at_home("bind", "tally=python")
    at = read_endpoints(toy.home / "endpoints.json")[TALLY]
    notes.sql("INSERT INTO tally.uncounted VALUES ('nobody')")

    outcomes = {side: await _played(at[side][0], side, notes) for side in ("python", "go")}

    notes.sql("DELETE FROM tally.uncounted")
    behind = (False, "behind an event of the same aggregate that failed")
    assert outcomes["go"] == outcomes["python"]
    assert outcomes["go"] == [
        [(GROUP, [ADDED])],
        [(True, ""), (True, ""), (True, "")],
        [(True, ""), (True, ""), (True, "")],
        [(True, ""), (False, "NOTE_LOCKED: nobody counts the note n"), behind, (True, "")],
        [(False, "NOTE_LOCKED: nobody counts the note a \ufffd b")],
        [(True, ""), (True, "")],
        [],
        ("NOT_FOUND", "group 'tally.none' has no handlers in this process", None),
        ("UNAVAILABLE", "group 'tally.notes' is being rebuilt", None),
        [("a", 1), ("a", 2), ("b", 1), ("a", 3), ("b", 2), ("c", 1)],
        [("ada", 6)],
        6,
    ]


def test_a_part_that_does_not_list_the_group_leaves_it_with_python(toy: Toy, notes: Notes) -> None:
    toy.at_home("bind", "tally=go")
    (toy.home / "groupless").touch()
    notes.kill()
    notes.publish("left", "ada", "ada")

    taken = notes.wait_until_taken(2, ["left"])

    assert taken == [("left", 1, "python"), ("left", 2, "python")]


async def _played(address: str, side: str, notes: Notes) -> list[Any]:
    """What a sink answers to the same deliveries, and the rows that it leaves; only ids, subjects and authors are the side's own."""
    channel = RemoteChannel(address)
    client = EventSinkServiceClient(Wire(OneChannel(channel)))
    ids: list[str] = []

    def event(subject: str, sequence: int, author: str = f"{side} ada", note_id: str = "n") -> events_pb2.Event:
        made = events_pb2.Event(id=str(uuid.uuid4()), type=ADDED, source="notes", subject=f"{side} {subject}")
        made.sequence, made.data = sequence, note_added(author, note_id).SerializeToString()
        made.time.GetCurrentTime()
        ids.append(made.id)
        return made

    async def deliver(events: Sequence[events_pb2.Event], group: str = GROUP) -> Any:
        try:
            answer = await client.deliver(events_pb2.DeliverRequest(group=group, events=events))
        except Refusal as refusal:
            return refusal.reason, refusal.detail, refusal.retry_after
        assert [each.event_id for each in answer.deliveries] == [each.id for each in events]
        return [(each.acknowledged, each.error) for each in answer.deliveries]

    listed = await client.list_subscriptions(events_pb2.ListSubscriptionsRequest())
    fresh = [event("a", 1), event("a", 2), event("b", 1)]
    twice = event("c", 1)
    found = [
        [(each.group, list(each.types)) for each in listed.subscriptions],
        await deliver(fresh),
        await deliver(fresh),
        await deliver([event("a", 3), event("a", 4, "nobody"), event("a", 5), event("b", 2)]),
        await deliver([event("a", 4, "nobody", "a \0 b")]),
        await deliver([twice, twice]),
        await deliver([]),
        await deliver(fresh, "tally.none"),
    ]
    notes.sql('INSERT INTO tally.inbox_rebuild ("group", token) VALUES (%s, gen_random_uuid())', GROUP)
    found.append(await deliver([event("a", 6)]))
    notes.sql("DELETE FROM tally.inbox_rebuild")
    await channel.close()
    entries = notes.sql(
        "SELECT subject, sequence FROM tally.entry WHERE taken_by = %s AND subject LIKE %s ORDER BY number",
        side,
        f"{side} %",
    )
    counts = notes.sql("SELECT author, notes FROM tally.tally WHERE author LIKE %s", f"{side} %")
    (inbox,) = notes.sql("SELECT count(*) FROM tally.inbox WHERE event_id::text = ANY(%s)", ids)
    found.append([(subject.removeprefix(f"{side} "), sequence) for subject, sequence in entries])
    found.append([(author.removeprefix(f"{side} "), count) for author, count in counts])
    found.append(inbox[0])
    return found
