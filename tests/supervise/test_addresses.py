"""Where the processes of a home answer each other."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tricorn.data.errors import DataError
from tricorn.host import load_manifest
from tricorn.supervise.addresses import addresses_of, forget, python_endpoints, write_endpoints
from tricorn.supervise.home import Home
from tricorn.supervise.planning import default_shape, make_plan

TOY = Path(__file__).parents[1] / "toy" / "app"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make()
    return home


def test_sockets_lie_in_a_short_folder_of_the_home_s_own_that_others_may_not_enter(home: Home, tmp_path: Path) -> None:
    addresses = addresses_of(home, ["all", "fast"])
    elsewhere = addresses_of(Home(tmp_path / "other"), ["all"])

    folder = Path(addresses["all"].removeprefix("unix:")).parent
    assert addresses["fast"] == f"unix:{folder}/fast.sock"
    assert len(addresses["fast"]) < 100
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert elsewhere["all"] != addresses["all"]
    forget([*addresses.values(), *elsewhere.values()])
    assert not folder.exists()


def test_a_name_too_long_for_a_socket_is_said_before_anything_starts(home: Home) -> None:
    with pytest.raises(DataError, match="too long a name for a unix socket"):
        addresses_of(home, ["x" * 100])


def test_the_endpoints_file_names_python_first_and_its_owner_alone_reads_it(home: Home) -> None:
    manifest = load_manifest(TOY)

    write_endpoints(home, python_endpoints(manifest, {"all": "unix:/a"}))

    file = home.path / "endpoints.json"
    said = json.loads(file.read_text())
    assert said["version"] == 1
    assert said["endpoints"]["toy.tally.v1.TallyService"] == {"python": ["unix:/a"]}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_application_without_a_shape_that_grows_starts_its_first(home: Home) -> None:
    manifest = load_manifest(TOY)

    plan = make_plan(manifest, home, shape=default_shape(manifest), host="127.0.0.1", port=0, demo=False)

    assert (plan.shape, plan.grows, dict(plan.parts)) == ("python", False, {})
    assert [process.name for process in plan.processes] == ["all"]
    assert plan.processes[0].address in plan.processes[0].command
    forget(process.address for process in plan.processes)


def test_metrics_of_every_process_but_the_gateway_s_take_a_free_port(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = 'contexts = ["notes"]\ngateway = true\n[processes.more]\ncontexts = ["tally"]\n[shapes.two]\nprocesses = ["more", "all"]'
    text = (TOY / "tricorn.toml").read_text().replace('contexts = ["notes", "tally"]\ngateway = true', two)
    (tmp_path / "tricorn.toml").write_text(text)
    monkeypatch.setenv("TRICORN_METRICS_ADDRESS", "127.0.0.1:9100")

    plan = make_plan(load_manifest(tmp_path), home, shape="two", host="127.0.0.1", port=0, demo=False)

    environments = {process.name: dict(process.environment) for process in plan.processes}
    assert environments == {"more": {"TRICORN_METRICS_ADDRESS": "127.0.0.1:0"}, "all": {}}
    forget(process.address for process in plan.processes)


@pytest.mark.parametrize(("asked", "told"), [(None, "schedtrace=2147483647"), ("", None), ("gctrace=1", None)])
def test_a_part_in_go_is_told_how_its_scheduler_is_watched_unless_the_operator_says(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None, told: str | None
) -> None:
    text = (TOY / "tricorn.toml").read_text()
    for language, contract in {"go": "tally.v1.TallyService", "rust": "notes.v1.NotesService"}.items():
        text += f'\n[natives.{language}]\nlanguage = "{language}"\nroot = "."\nbuild = ["true"]\nbinary = "part"\n'
        text += f'sources = ["part"]\ncontracts = ["toy.{contract}"]\n[processes.{language}]\nnative = "{language}"\n'
    (tmp_path / "tricorn.toml").write_text(f'{text}[shapes.grow]\ngrows = true\nprocesses = ["go", "rust", "all"]\n')
    monkeypatch.delenv("GODEBUG", raising=False)
    if asked is not None:
        monkeypatch.setenv("GODEBUG", asked)

    plan = make_plan(load_manifest(tmp_path), home, shape="grow", host="127.0.0.1", port=0, demo=False)

    heard = {name: part.process.environment.get("GODEBUG") for name, part in plan.parts.items()}
    assert heard == {"go": told, "rust": None}
    forget(process.address for process in plan.processes)
