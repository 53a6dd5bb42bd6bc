"""From the words that were typed to the command that runs, and from what it raises to an exit status.

Exit statuses: 0 done; 1 it did not work, and the message says why; 2 the words make no sense; 69 something that is
needed is not installed; 130 interrupted.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from tricorn.cli.registry import COMMANDS, Command

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED, USAGE, MISSING, INTERRUPTED = 1, 2, 69, 130

_HEAD = """\
Tricorn grows one Python backend into Go and Rust, one proven step at a time.

  {door} up       starts the application that lies here and answers on http://127.0.0.1:8080
  {door} test     checks everything
"""

_FOOT = """
  --app DIR       the application's folder (default: where tricorn.toml is, here or a folder below)
  --version       what this is

`{door} COMMAND --help` explains a command. State lies in .tricorn/ (or --home DIR).
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was typed; the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    while words and words[0].startswith("-"):
        option, _, value = words.pop(0).partition("=")
        if option in {"-h", "--help"}:
            words.insert(0, "help")
            break
        if option == "--version":
            return _say_version()
        if option != "--app" or not (value or words):
            return complain(
                f"unknown option {option}" if option != "--app" else "--app needs a folder", _hint(""), USAGE
            )
        os.environ["TRICORN_APP"] = value or words.pop(0)
    if not words or words == ["help"]:
        sys.stdout.write(overview())
        return 0
    name, *rest = words
    if name == "help":
        name, rest = rest[0], ["--help"]
    command = COMMANDS.get(name)
    if command is None:
        return complain(f"there is no command {name!r}", _hint(name), USAGE)
    return run(name, command, rest)


def run(name: str, command: Command, words: list[str]) -> int:
    """Import a command and run it with `words`."""
    module, _, attribute = command.target.partition(":")
    try:
        target = getattr(importlib.import_module(module), attribute)
        if command.raw:
            return int(target(words))
        return invoke(target, f"{door()} {name}", words)
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(("tricorn.", "agora")):
            raise
        return complain(
            f"{name} needs the module {error.name!r}, which is not there",
            f"run it through ./tricorn, which installs packages; `{door()} gen` makes what comes from contracts",
            MISSING,
        )
    except Exception as error:
        said = explain(error)
        if said is None:
            raise
        return complain(*said)


def invoke(target: Any, program: str, words: list[str]) -> int:
    """Run a Typer application or a function as a command; raises what it raises."""
    import typer

    usage_error: type[typer.BadParameter] = typer.BadParameter.__base__  # type: ignore[assignment]
    if not isinstance(target, typer.Typer):
        application = typer.Typer(add_completion=False)
        application.command()(target)
        target = application
    target._add_completion = False  # noqa: SLF001 - the door is no installed program
    try:
        result = typer.main.get_command(target).main(words, prog_name=program, standalone_mode=False)
    except typer.Exit as exit_:
        return int(exit_.exit_code)
    except typer.Abort:
        return INTERRUPTED
    except usage_error as error:
        # Without a message it is a group that was called without a command, and has shown its help.
        return complain(error.format_message(), f"`{program} --help` explains it", USAGE) if str(error) else USAGE
    return result if isinstance(result, int) else 0


def explain(error: Exception) -> tuple[str, str] | None:
    """What is wrong and what to do, for errors that are the reader's to mend; None for a defect of ours."""
    what, remedy = getattr(error, "what", None), getattr(error, "remedy", None)
    if isinstance(what, str) and isinstance(remedy, str):
        where = getattr(error, "where", "")
        log = getattr(error, "log", "")
        tail = "".join(f"\n  | {line}" for line in log.splitlines())
        return f"{what} ({where})" if where else what, remedy + tail
    if type(error).__name__ == "ManifestError":
        return str(error), "mend tricorn.toml, or name the application's folder with --app DIR"
    if type(error).__name__ == "ValidationError" and hasattr(error, "errors"):
        wrong = [f"{'.'.join(map(str, each['loc']))}={each['input']!r}: {each['msg']}" for each in error.errors()]
        return f"a setting is wrong: {'; '.join(wrong)}", "docs/settings.md lists every variable with what it may be"
    if type(error).__name__ == "Refusal":
        return str(error), "see the reason"
    return None


def complain(what: str, remedy: str, status: int = FAILED) -> int:
    """One line that says what is wrong, one that says what to do."""
    sys.stderr.write(f"error: {what}\n  -> {remedy}\n")
    return status


def door() -> str:
    """How the reader called us."""
    return os.environ.get("TRICORN_DOOR", "tricorn")


def overview() -> str:
    """The first screen."""
    lines = [_HEAD.format(door=door())]
    groups = dict.fromkeys(command.group for command in COMMANDS.values() if command.group)
    for group in groups:
        lines.append(f"\n{group}:\n")
        for name, command in COMMANDS.items():
            if command.group == group:
                lines.append(f"  {name + ' ' + command.usage:<40} {command.help}\n")
    lines.append(_FOOT.format(door=door()))
    return "".join(lines)


def _hint(name: str) -> str:
    shown = [known for known, command in COMMANDS.items() if command.group]
    close = difflib.get_close_matches(name, shown, n=1)
    return (f"did you mean `{door()} {close[0]}`? " if close else "") + f"`{door()}` alone lists the commands"


def _say_version() -> int:
    import platform

    from tricorn import __version__

    sys.stdout.write(f"tricorn {__version__} (Python {platform.python_version()})\n")
    return 0
