"""Which application a command is about, and where its state lies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
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
