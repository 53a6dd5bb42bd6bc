"""`tricorn prepare`: what happens to a database before the processes use it. `up` runs it; so may a deployment."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Annotated, Any

import typer

from tricorn.cli.application import HomeOption, home_of, manifest
from tricorn.supervise.life import Life

app = typer.Typer()


@app.command()
def prepare(
    home: HomeOption = None,
    no_demo_data: Annotated[bool, typer.Option("--no-demo-data", help="Leave an empty database empty.")] = False,
    ready_fd: Annotated[int, typer.Option(hidden=True)] = -1,
    life_fd: Annotated[int, typer.Option(hidden=True)] = -1,
) -> int:
    """Create the database if need be, migrate it, and fill it with demonstration data if it is empty.

    Nothing to do costs one query. The database is the one that DATABASE_URL names.
    """
    life = Life(life_fd) if life_fd >= 0 else None
    there = home_of(home)
    application = manifest()
    application.activate()
    from tricorn.cli.main import explain
    from tricorn.supervise.preparation import prepare_database

    def say(line: dict[str, Any]) -> None:
        if ready_fd >= 0:
            os.write(ready_fd, json.dumps(line).encode() + b"\n")
        elif "step" in line:
            typer.echo(f"{line['step']} {line['done']}/{line['total']}" if line["total"] else line["step"])

    if life is not None:
        life.wait()
        life.watch()
    try:
        asyncio.run(
            prepare_database(
                application,
                there.path,
                demo=not no_demo_data,
                step=lambda text, done, total: say({"step": text, "done": done, "total": total}),
            )
        )
    except Exception as error:
        said = explain(error) if ready_fd >= 0 else None
        if said is None:
            raise
        say({"failed": said[0], "remedy": said[1]})
        return 1
    return 0
