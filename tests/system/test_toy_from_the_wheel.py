"""The platform without its shop: the built wheel in an empty environment carries an application that it has never seen.

Packages come from the index, at the versions that are pinned here.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from refusals import PROBLEM

ROOT = Path(__file__).parents[2]
GO = ROOT / "go" / "tricorn"
PATIENCE = 30
KEY = rsa.generate_private_key(65537, 2048)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the repository."""
    folder = tmp_path_factory.mktemp("build")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "go" / "tricorn", folder / "go" / "tricorn")
    shutil.copytree(ROOT / "src" / "tricorn", folder / "src" / "tricorn", ignore=shutil.ignore_patterns("__pycache__"))
    made = folder / "made"
    # The build back end itself: the environment that the door makes has no pip of its own.
    program = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    made.mkdir()
    subprocess.run([sys.executable, "-c", program, str(made)], cwd=folder, check=True, capture_output=True)
    (found,) = made.iterdir()
    return found


class Toy:
    """A copy of the toy application, run by what the wheel installed."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder, self.home, self._environment = folder / "app", folder / "home", folder / "venv"
        shutil.copytree(
            ROOT / "tests/toy/app", self.folder, ignore=shutil.ignore_patterns("__pycache__", "toy_proto", "docs")
        )
        pins = folder / "pins.txt"
        pins.write_text("\n".join(_pins()))
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self._environment], check=True)
        python = self._environment / "bin" / "python"
        subprocess.run(
            [Path(sys.executable).parent / "uv", "pip", "install", "--quiet", "--link-mode", "hardlink",
             "--python", python, "--constraint", pins, f"{wheel}[gen]"],
            check=True,
            timeout=900,
        )  # fmt: skip

    def run(
        self, program: str, *words: str, check: bool = True, timeout: float = 180
    ) -> subprocess.CompletedProcess[str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TRICORN", "DATABASE"))
        }
        done = subprocess.run(
            [self._environment / "bin" / program, *words],
            cwd=self.folder,
            env={**kept, "TOY_KEYS": json.dumps({"keys": [_public()]})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def tricorn(self, *words: str, check: bool = True) -> str:
        return self.run("tricorn", *words, check=check).stdout

    def imports(self, module: str) -> bool:
        return self.run("python", "-P", "-c", f"import {module}", check=False).returncode == 0


def _pins() -> Iterator[str]:
    """The pinned versions with their conditions, without the hashes: the wheel has none."""
    for line in (ROOT / "requirements-dev.txt").read_text().splitlines():
        pin = re.match(r"([a-z0-9._-]+)(?:\[[^]]*\])?(==[^\\]+)", line, re.IGNORECASE)
        if pin:
            yield pin[1] + pin[2]


def _public() -> dict[str, str]:
    numbers = KEY.public_key().public_numbers()
    return {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": "k",
        "n": _base64url(numbers.n),
        "e": _base64url(numbers.e),
    }


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode().rstrip("=")


def _token(*roles: str) -> dict[str, str]:
    now = int(time.time())
    claims = {"iss": "toy", "aud": "toy", "sub": "ada", "sid": "s", "roles": roles, "iat": now, "exp": now + 600}
    return {"Authorization": f"Bearer {jwt.encode(claims, KEY, 'RS256', headers={'kid': 'k'})}"}


@pytest.fixture(scope="module")
def toy(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy(tmp_path_factory.mktemp("toy"), wheel)


@pytest.fixture(scope="module")
def client(toy: Toy) -> Iterator[httpx.Client]:
    toy.tricorn("gen")
    toy.tricorn("up", "--detach", "--port", "0", "--home", str(toy.home))
    url = json.loads(toy.tricorn("status", "--json", "--home", str(toy.home)))["url"]
    with httpx.Client(base_url=url, timeout=30) as client:
        yield client
    assert toy.tricorn("down", "--home", str(toy.home)) == "stopped\n"


def test_the_wheel_carries_all_of_the_platform_and_nothing_of_the_shop(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    sources = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "tricorn").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    } | {
        f"tricorn/go/{path.relative_to(GO)}"
        for path in GO.rglob("*")
        if path.is_file() and not path.name.endswith("_test.go") and "testdata" not in path.parts
    }

    carried = {name for name in names if ".dist-info/" not in name}

    assert carried == sources
    assert {name.split("/")[0] for name in names} == {"tricorn", names[-1].split("/")[0]}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_neither_django_nor_the_shop_is_there(toy: Toy) -> None:
    assert toy.imports("tricorn.cli")
    assert not toy.imports("django")
    assert not toy.imports("agora")
    assert not toy.imports("agora_proto")


def test_what_is_made_from_the_contracts_is_fresh_after_it_is_made(toy: Toy, client: httpx.Client) -> None:
    assert toy.tricorn("gen", "--check") == "everything is fresh\n"
    assert "TOY_KEYS" in (toy.folder / "docs" / "settings.md").read_text()


def test_a_note_is_added_and_the_tally_hears_of_it(client: httpx.Client) -> None:
    note = client.post("/api/v1/notes", json={"author": "Ada", "text": "First."})

    assert note.status_code == 201, note.text
    assert client.get(f"/api/v1/notes/{note.json()['noteId']}").json() == note.json()
    deadline = time.monotonic() + PATIENCE
    while client.get("/api/v1/tally/Ada").json() != {"author": "Ada", "notes": "1"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_role_of_the_application_is_asked_for(client: httpx.Client) -> None:
    note = client.post("/api/v1/notes", json={"author": "Bob", "text": ""}).json()
    path = f"/api/v1/notes/{note['noteId']}:lock"

    answers = [client.post(path, json={}, headers=headers) for headers in ({}, _token(), _token("editor"))]

    assert [answer.status_code for answer in answers] == [401, 403, 200]
    assert "`editor`" in client.get("/openapi.json").text


def test_a_reason_of_the_application_has_its_own_status(client: httpx.Client) -> None:
    note = client.post("/api/v1/notes", json={"author": "Cleo", "text": ""}).json()
    path = f"/api/v1/notes/{note['noteId']}:lock"
    client.post(path, json={}, headers=_token("editor"))

    again = client.post(path, json={}, headers=_token("editor"))

    assert (again.status_code, again.headers["content-type"]) == (423, PROBLEM)
    assert (again.json()["code"], again.json()["metadata"]) == ("NOTE_LOCKED", {"note_id": note["noteId"]})


def test_a_stream_is_served_as_events(client: httpx.Client) -> None:
    text = client.get("/api/v1/countdown", params={"from": 2}).text

    assert re.findall(r'data: \{"number":(\d)\}', text) == ["2", "1", "0"]


def test_the_pages_come_along(client: httpx.Client) -> None:
    assert "docs.js" in client.get("/docs").text
    assert client.get("/docs/docs.css").status_code == 200
    assert "Answers each message" not in client.get("/openapi.json").text
    assert "Counts down, one answer for each number." in client.get("/openapi.json").text


def test_a_command_of_the_application_runs(toy: Toy, client: httpx.Client) -> None:
    assert toy.tricorn("app", "notes", "greet", "Ada", "--home", str(toy.home)) == "hello Ada\n"
