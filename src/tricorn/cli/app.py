"""`tricorn app`: the commands that an application declares in `[commands]` of its `tricorn.toml`."""

from __future__ import annotations

import os
import sys

from tricorn.cli.application import database, home_of, manifest, split_home


def app(words: list[str]) -> int:
    """Run `NAME ...`; without a name, list what there is. `--home DIR` may stand anywhere and is not the command's."""
    from tricorn.cli.main import USAGE, complain, door, invoke
    from tricorn.host.manifest import resolve

    application = manifest()
    if not words or words[0] in {"-h", "--help"}:
        sys.stdout.write(f"Commands of {application.application.title}, from its tricorn.toml:\n\n")
        for name in application.commands:
            sys.stdout.write(f"  {door()} app {name} ...\n")
        return 0
    name, *rest = words
    if name not in application.commands:
        return complain(
            f"{application.name} has no command {name!r}", f"it has: {', '.join(application.commands)}", USAGE
        )
    application.activate()
    target, program = resolve(application.commands[name]), f"{door()} app {name}"
    rest, home = split_home(rest)
    if home is not None:
        os.environ["TRICORN_HOME"] = str(home)  # where a command that has an option for it looks, too
    if not rest or "--help" in rest:
        return invoke(target, program, rest or ["--help"])
    with database(home_of(home), application):
        return invoke(target, program, rest)
