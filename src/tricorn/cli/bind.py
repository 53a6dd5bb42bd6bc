"""`tricorn bind` and `tricorn rollback`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tricorn.cli.application import HomeOption, home_of, manifest
from tricorn.cli.shares import share
from tricorn.supervise.errors import SuperviseError
from tricorn.wire.bindings import ALL, GATEWAY

if TYPE_CHECKING:
    from tricorn.host.manifest import Manifest
    from tricorn.host.targets import Target
    from tricorn.supervise.home import Home

bind_app = typer.Typer()
rollback_app = typer.Typer()

_PATIENCE_SECONDS = 2.0
_ANSWER_SECONDS = 30.0
_BUILD_SECONDS = 1800.0
_POINTS = 100


@bind_app.command()
def bind(
    what: Annotated[
        str,
        typer.Argument(
            metavar="TARGET=IMPLEMENTATION[:PERCENT]",
            help="A contract or a method, and who answers which share of its calls: pricing=rust, pricing=rust:25, "
            "pricing/PriceBasket=python. pricing=auto gives the choice back. gateway=go has another gateway take the public port.",
        ),
    ],
    home: HomeOption = None,
) -> int:
    """Choose which implementation answers a contract, or one of its methods.

    Python has what is left of the calls. The choice holds within a second, over restarts too, until `bind TARGET=auto`
    gives it back to the platform. What is bound for a method holds instead of what is bound for its contract.

    The gateway moves as a whole, without a request that is refused, cut or lost: the next one is built and ready before
    the one before leaves. Bound again while it has the port, it is replaced if its sources changed.
    """
    word, _, choice = what.partition("=")
    implementation, _, percent = choice.partition(":")
    if not word or not implementation:
        raise SuperviseError(f"{what!r} says not who answers", remedy="say for example pricing=rust:25")
    points = share(percent, f"{word}={implementation}:") if percent else ALL
    there = home_of(home)
    target = _target(word)
    if points < ALL and target.key == GATEWAY:
        raise SuperviseError("the public port cannot be divided", remedy=f"say gateway={implementation}")
    if points < ALL:
        _check_split(manifest(), target, there, implementation)
    return _said(there, target, "bind", implementation=implementation, share=points)


@rollback_app.command()
def rollback(
    what: Annotated[str, typer.Argument(metavar="TARGET", help="A contract, e.g. pricing, or a method of it.")],
    home: HomeOption = None,
) -> int:
    """Have Python answer every call of a contract again, at once. No call fails over it; calls in flight end where they began.

    It stays so, over restarts too, until `bind` says otherwise.
    """
    return _said(home_of(home), _target(what), "rollback")


def _target(word: str) -> Target:
    from tricorn.host.targets import find_target

    return find_target(manifest(), word, gateway=True)


def _check_split(application: Manifest, target: Target, home: Home, implementation: str) -> None:
    """Refuse to divide calls that must stay together.

    Raises:
        SuperviseError: a method can only be bound as a whole; the text says which and why.
    """
    from tricorn.wire.bindings import BINDINGS_FILE, Bindings, parse_bindings
    from tricorn.wire.split import whole_methods

    application.activate()
    try:
        bindings = parse_bindings((home.path / BINDINGS_FILE).read_bytes())
    except (OSError, ValueError):
        bindings = Bindings()
    native = application.native_of(target.contract)
    whole = whole_methods(target.key, bindings, shared=native is not None and target.contract in native.shared)
    if whole:
        method, why = next(iter(whole.items()))
        contract = target.short.partition("/")[0]
        first = f"bind {contract}/{method}={implementation} (or =python) first, or " if target.method is None else ""
        raise SuperviseError(
            f"the calls of {contract}/{method} cannot be divided: {why}",
            remedy=f"{first}give {target.short} to one of them as a whole",
        )


def _said(home: Home, target: Target, call: str, **arguments: Any) -> int:
    """Ask the supervisor, wait until it holds everywhere, and say what became of it."""
    from tricorn.supervise.control import ControlClient
    from tricorn.supervise.reports import wait_until_held

    began = time.monotonic()
    patience = _BUILD_SECONDS if target.key == GATEWAY else _ANSWER_SECONDS
    answer = ControlClient(home).call(call, target=target.key, patience=patience, **arguments)
    late = wait_until_held(home.path, answer["generation"], _PATIENCE_SECONDS)
    seconds = time.monotonic() - began
    for was, now in zip(answer["was"], answer["now"], strict=True):
        typer.echo(f"{_short(now)} -> {_words(now)}   was {_words(was)}, bound by {was['by']}")
    for other in answer["beside"]:
        typer.echo(f"  {_short(other)} has a binding of its own: {_words(other)}")
    if late:
        raise SuperviseError(
            f"generation {answer['generation']} is written, but does not hold yet in {', '.join(late)}",
            remedy="look whether that process runs with `tricorn status`",
        )
    typer.echo(f"generation {answer['generation']} holds everywhere after {seconds:.2f} s")
    return 0


def _short(binding: dict[str, Any]) -> str:
    from tricorn.host.targets import short_name

    contract, slash, method = binding["target"].partition("/")
    return f"{short_name(contract)}{slash}{method}"


def _words(binding: dict[str, Any]) -> str:
    shares = [f"{name} {share / _POINTS:g} %" for name, share in binding["shares"].items() if share]
    chosen = " (the platform decides)" if binding["auto"] else ""
    return (shares[0] if shares else "python") + chosen
