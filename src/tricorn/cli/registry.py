"""The commands: what each is called, what it does in a few words, and where it lives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Args:
        target: `module:attribute`, a Typer application or a function with typed options; imported when it runs.
        help: what it does, in a few words.
        usage: its arguments, as the first screen shows them.
        group: the heading it stands under; empty: left out of the first screen.
        raw: the target takes the words after the command as a list, and gives the exit status.
    """

    target: str
    help: str
    usage: str = ""
    group: str = ""
    raw: bool = False


RUN, CHECK, LOOK, MAKE = "Run it", "Check it", "Look inside", "Build on it"

COMMANDS: dict[str, Command] = {
    "up": Command("tricorn.cli.up:app", "start everything and answer on port 8080", "[--detach] [--port N]", RUN),
    "down": Command("tricorn.cli.down:app", "stop what `up` started", "", RUN),
    "status": Command("tricorn.cli.status:app", "what runs where, with its memory", "[--json]", RUN),
    "logs": Command("tricorn.cli.logs:app", "what the processes say", "[NAME] [-f] [-n N]", RUN),
    "bind": Command("tricorn.cli.bind:bind_app", "choose who answers a contract", "TARGET=IMPLEMENTATION[:%]", RUN),
    "rollback": Command("tricorn.cli.bind:rollback_app", "have Python answer it again, at once", "TARGET", RUN),
    "rehearse": Command(
        "tricorn.cli.rehearse:app", "move a contract there and back, to see that it works", "TARGET", RUN
    ),
    "cutover": Command(
        "tricorn.cli.cutover:app", "move a contract by steps, back if it fails", "TARGET [--history]", RUN
    ),
    "serve": Command("tricorn.cli.serve:app", "run one process alone, as a container would", "PROCESS", RUN),
    "test": Command("tricorn.cli.test:app", "lint, types and every test", "[--quick|--full] [PART...]", CHECK),
    "lint": Command("tricorn.cli.test:lint_app", "the checks of the sources alone", "", CHECK),
    "conformance": Command("tricorn.conformance.cli:app", "play every contract's cases", "[CONTEXT...]", CHECK),
    "record": Command("tricorn.cli.record:app", "record the real calls of a contract", "TARGET --out FILE", CHECK),
    "replay": Command("tricorn.cli.replay:app", "play them again, and compare", "FILE [--against ...]", CHECK),
    "shadow": Command("tricorn.cli.shadow:app", "compare on live calls", "TARGET [--sample 5%] [--report]", CHECK),
    "verify": Command("tricorn.cli.verify:app", "judge a native part by its Python", "TARGET [--request JSON]", CHECK),
    "bench": Command("tricorn.cli.bench:app", "measure; nothing is judged", "[NAME...] [--json FILE]", CHECK),
    "trace": Command("tricorn.cli.trace:app", "where the time of one request went", "[ID]", LOOK),
    "db": Command("tricorn.cli.db:app", "migrate, look into or reset the database", "migrate|status|psql|reset", LOOK),
    "events": Command("tricorn.cli.events:app", "the events' backlog, dead letters, log", "status|...", LOOK, raw=True),
    "app": Command("tricorn.cli.app:app", "commands of the application itself", "NAME ...", LOOK, raw=True),
    "gen": Command("tricorn.cli.gen:app", "make code and documents from the contracts", "", MAKE),
    "prepare": Command("tricorn.cli.prepare:app", "migrate and fill the database, as `up` does before it starts"),
}
