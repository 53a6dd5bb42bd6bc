"""`tricorn shadow`."""

from __future__ import annotations

import json as json_
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tricorn.cli.application import HomeOption, home_of, manifest
from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from tricorn.host.manifest import Manifest
    from tricorn.host.targets import Target
    from tricorn.supervise.home import Home

app = typer.Typer()

_PATIENCE_SECONDS = 2.0


@app.command()
def shadow(
    target: Annotated[
        str, typer.Argument(help="A contract (`pricing`) or one of its methods (`pricing/PriceBasket`).")
    ],
    sample: Annotated[str, typer.Option(metavar="PERCENT", help="Which share of the calls is compared.")] = "5%",
    to: Annotated[str | None, typer.Option(help="The implementation. [default: the one of tricorn.toml]")] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Compare no more.")] = False,
    report: Annotated[bool, typer.Option("--report", help="Say what was found.")] = False,
    json: Annotated[bool, typer.Option("--json", help="With --report: the same, for programs.")] = False,
    home: HomeOption = None,
) -> int:
    """Compare two implementations on live calls: the one that does not answer gets a copy afterwards.

    Callers see and wait for nothing of it. Only methods without side effects are compared, and a copy may lead to no
    effect anywhere. It goes on until --stop, over restarts and over `bind`; once the native implementation answers, the
    reference gets the copies.
    """
    from tricorn.host.targets import find_target

    there, application = home_of(home), manifest()
    application.activate()
    found = find_target(application, target)
    if report or json:
        return _report(there, found, as_json=json)
    if stop:
        _ask(there, found, "shadow.stop")
        typer.echo(f"{found.short} is compared no more; what was found: `tricorn shadow {found.short} --report`")
        return 0
    from tricorn.cli.shares import share

    points = share(sample, "--sample")
    compared, left_out = _methods(found)
    name = to or _native(application, found)
    _ask(there, found, "shadow.start", implementation=name, sample=points)
    typer.echo(f"{found.short}: {points / 100:g} % of the calls of {', '.join(compared)} are compared with {name}")
    for method in left_out:
        typer.echo(f"  left out: {method}, which may have effects or is a stream")
    typer.echo(f"  what was found: `tricorn shadow {found.short} --report`; end it with --stop")
    return 0


def _report(there: Home, target: Target, *, as_json: bool) -> int:
    from tricorn.cli.main import door
    from tricorn.prove.figures import read_comparisons
    from tricorn.prove.report import shadow_report, shadow_text

    said = shadow_report(read_comparisons(there.path, target.key), door())
    if as_json:
        typer.echo(json_.dumps({"target": target.key, "methods": said}, indent=1))
        return 0
    if not said:
        raise SuperviseError(
            f"nothing of {target.short} was compared in {there.path}",
            remedy=f"begin with `tricorn shadow {target.short} --sample 5%`, and let calls come",
        )
    for line in shadow_text(said):
        typer.echo(line)
    return 0


def _methods(target: Target) -> tuple[list[str], list[str]]:
    """The methods of a target that can be compared, and those that cannot.

    Raises:
        SuperviseError: there is none of the first kind.
    """
    from tricorn.contract import service_policies
    from tricorn.prove.shadow import can_be_shadowed

    asked = [policy for policy in service_policies(target.contract) if target.method in {None, policy.name}]
    compared = [policy.name for policy in asked if can_be_shadowed(policy)]
    if not compared:
        what = f"{target.short} may have effects or is a stream" if target.method else f"no method of {target.short}"
        why = ": a copy of a call would do things twice" if target.method else " is a plain call without side effects"
        raise SuperviseError(
            what + why,
            remedy="shadow a method that its contract calls NO_SIDE_EFFECTS; use `tricorn verify` for others",
        )
    return compared, [policy.name for policy in asked if policy.name not in compared]


def _native(application: Manifest, target: Target) -> str:
    own = (each for each in application.natives.values() if target.key in each.methods)
    native = application.native_of(target.contract) or next(own, None)
    if native is None:
        raise SuperviseError(
            f"{target.short} has no implementation but python",
            remedy="name one with --to, or declare a native part for it in tricorn.toml",
        )
    return native.language


def _ask(there: Home, target: Target, call: str, **arguments: Any) -> None:
    from tricorn.supervise.control import ControlClient
    from tricorn.supervise.reports import wait_until_held

    answer = ControlClient(there).call(call, target=target.key, **arguments)
    late = wait_until_held(there.path, answer["generation"], _PATIENCE_SECONDS)
    if late:
        raise SuperviseError(
            f"it is written, but does not hold yet in {', '.join(late)}",
            remedy="look whether that process runs with `tricorn status`",
        )
