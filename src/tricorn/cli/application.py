"""Which application a command is about, and where its state lies."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tricorn.host.manifest import Manifest
    from tricorn.supervise.home import Home

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", metavar="DIR", help="Where state lies. [default: .tricorn]", envvar="TRICORN_HOME"),
]


def folder() -> Path:
    """Where the application is looked for: --app, else the working directory, else the door's folder."""
    named = os.environ.get("TRICORN_APP")
    if named:
        return Path(named).absolute()
    here = Path.cwd()
    if any(here.glob("tricorn.toml")) or any(here.glob("*/tricorn.toml")):
        return here
    return Path(os.environ.get("TRICORN_DOOR", here / "tricorn")).absolute().parent


def manifest() -> Manifest:
    """The application's checked `tricorn.toml`.

    Raises:
        ManifestError: there is none, or it is wrong.
    """
    from tricorn.host.manifest import find_manifest, load_manifest

    return load_manifest(find_manifest(folder()))


def home_of(given: Path | None) -> Home:
    """The home that --home names, or the one beside the application."""
    from tricorn.supervise.home import Home

    return Home(given if given is not None else folder() / ".tricorn")


def split_home(words: list[str]) -> tuple[list[str], Path | None]:
    """Words without `--home DIR`, and the home that they, or else TRICORN_HOME, name."""
    rest: list[str] = []
    named = os.environ.get("TRICORN_HOME")
    following = iter(words)
    for word in following:
        if word == "--home":
            named = next(following, None)
        elif word.startswith("--home="):
            named = word.removeprefix("--home=")
        else:
            rest.append(word)
    return rest, Path(named) if named else None


@contextmanager
def database(home: Home, application: Manifest) -> Iterator[str]:
    """The URL of the application's database, in DATABASE_URL too, as long as the block lasts.

    That is the one DATABASE_URL names already, else that of the application which runs in `home`, else that of the
    home's embedded server, which is started for the block.

    Raises:
        SuperviseError: there is no data in `home` yet.
        DataError: the server cannot be started.
    """
    given = os.environ.get("DATABASE_URL") or (home.read_state() or {}).get("databaseUrl")
    if given:
        os.environ["DATABASE_URL"] = given
        yield given
        return
    from tricorn.data import EmbeddedPostgres

    if not (home.path / "postgres").exists():
        raise SuperviseError(
            f"there is no database in {home.path} yet", remedy="start the application once, or set --home"
        )
    server = EmbeddedPostgres(home.path / "postgres")
    server.start()
    try:
        os.environ["DATABASE_URL"] = url = server.admin_url(application.name)
        yield url
    finally:
        del os.environ["DATABASE_URL"]
        server.stop()
