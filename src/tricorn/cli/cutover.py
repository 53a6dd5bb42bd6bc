"""`tricorn cutover`."""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tricorn.cli.application import HomeOption, home_of, manifest
from tricorn.cli.shares import seconds
from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from tricorn.host.targets import Target
    from tricorn.prove.cutover import CutoverPlan
    from tricorn.supervise.home import Home

app = typer.Typer()

_SAY_SECONDS = 5.0
_INTERRUPTED = 130
_HUNDRED = 100


@app.command()
def cutover(
    target: Annotated[
        str | None, typer.Argument(help="A contract (`pricing`) or one of its methods (`pricing/PriceBasket`).")
    ] = None,
    to: Annotated[str | None, typer.Option(help="The implementation. [default: the one of tricorn.toml]")] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            help="Shares of the calls in per cent, the last one 100. [default: 1,5,25,50,100; 100 where calls cannot be divided]"
        ),
    ] = None,
    sample: Annotated[
        float, typer.Option(min=0, max=100, help="Per cent of the calls whose answers are compared.")
    ] = 10,
    calls: Annotated[int, typer.Option(min=1, help="Calls that a step must see before it is left.")] = 100,
    errors: Annotated[float, typer.Option(min=0, help="Per cent of calls that may fail beyond the reference's.")] = 0.5,
    slow: Annotated[float, typer.Option(min=0, help="Per cent of calls that may be slow beyond the reference's.")] = 5,
    margin: Annotated[
        float, typer.Option(min=0, help="Milliseconds beyond the reference's P95 from which a call is slow, at least.")
    ] = 20,
    differences: Annotated[float, typer.Option(min=0, help="Per cent of compared answers that may differ.")] = 0,
    alpha: Annotated[
        float, typer.Option(min=0.0001, max=50, help="Per cent of cutovers within these limits that may be ended.")
    ] = 1,
    step_time: Annotated[str, typer.Option(help="How long a step may wait for its calls: 90s, 10m, 2h.")] = "10m",
    watch: Annotated[str, typer.Option(help="How long the guard stays once all calls are moved.")] = "10m",
    allow_quiet: Annotated[bool, typer.Option("--allow-quiet", help="Leave a step in which nobody calls.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Look at the one that goes on.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the one that goes on: back to Python.")] = False,
    history: Annotated[bool, typer.Option("--history", help="What was moved when; of TARGET, or of all.")] = False,
    home: HomeOption = None,
) -> int:
    """Move a target from Python to its native implementation by steps, and back when it fails.

    At each step the supervisor compares errors, answers and times of both, and goes on only when it has seen enough and
    nothing is worse than allowed. On a breach Python answers again within a second. It needs fresh evidence (`tricorn
    verify`) and a rehearsed way back (`tricorn rehearse`). It goes on when this terminal closes.
    """
    there = home_of(home)
    if history:
        return _history(there, target)
    if target is None:
        raise SuperviseError("a target is missing", remedy="name a contract, for example `tricorn cutover pricing`")
    from tricorn.host.targets import find_target
    from tricorn.supervise.control import ControlClient

    application = manifest()
    application.activate()
    found = find_target(application, target)
    client = ControlClient(there)
    if stop:
        took = client.call("cutover.stop", target=found.key, by=getpass.getuser())
        typer.echo(f"{found.short} is answered by python again, after {took['seconds']:.3f} s")
        return 0
    if follow:
        return _show(client.stream("cutover.status", target=found.key), found.short)
    limits = {
        "errors": errors / _HUNDRED,
        "slow": slow / _HUNDRED,
        "margin_seconds": margin / 1000,
        "differences": differences / _HUNDRED,
        "alpha": alpha / _HUNDRED,
        "calls": calls,
    }
    times = {"step_seconds": seconds(step_time, "--step-time"), "watch_seconds": seconds(watch, "--watch")}
    plan = _plan(there, found, to, steps, limits, sample=round(sample * _HUNDRED), allow_quiet=allow_quiet, **times)
    return _show(client.stream("cutover.start", plan=plan.to_json()), found.short)


def _plan(
    home: Home, target: Target, to: str | None, steps: str | None, limits: dict[str, Any], **more: Any
) -> CutoverPlan:
    """What is asked of the supervisor, which looks for itself whether it may be; that it may not is said before.

    Raises:
        ProveError: it may not.
    """
    from tricorn.prove.cutover import CutoverPlan, parse_steps
    from tricorn.prove.permission import check_native, check_steps, default_steps, methods_of
    from tricorn.prove.step_judge import Limits
    from tricorn.supervise.permitting import permission
    from tricorn.wire.bindings import BINDINGS_FILE
    from tricorn.wire.watched import BindingsFile

    application = manifest()
    native = application.native_of(target.contract)
    language = to or (native.language if native is not None else "rust")
    check_native(application, target, language)
    bindings = BindingsFile(home.path / BINDINGS_FILE)
    bindings.poll()
    shared = bindings.current.at(target.key).shared
    shares = parse_steps(steps or default_steps(target, shared=shared))
    notes = check_steps(target, shares, shared=shared)
    given = permission(application, target, language, home.path)
    rehearsal = given.rehearsal
    typer.echo(f"{target.short} -> {language}   {given.statement}")
    typer.echo(
        f"  the way back was rehearsed {rehearsal.taken:%Y-%m-%d %H:%M}: {rehearsal.move:.2f} s there, "
        f"{rehearsal.back:.2f} s back, none of {rehearsal.calls} calls failed"
    )
    for note in notes:
        typer.echo(f"  {note}")
    policies = methods_of(target)
    return CutoverPlan(
        target=target.key,
        short=target.short,
        to=language,
        steps=shares,
        methods=tuple(policy.full_name for policy in policies),
        shadowed=tuple(
            policy.full_name
            for policy in policies
            if policy.safe and not (policy.client_streaming or policy.server_streaming) and more["sample"]
        ),
        by=getpass.getuser(),
        limits=Limits(**limits),
        **more,
    )


def _show(events: Iterable[Mapping[str, Any]], short: str) -> int:
    """Say how a cutover goes until it ends; the exit status."""
    from tricorn.cli.main import door

    began, said, last = time.monotonic(), "", -_SAY_SECONDS
    status = 1
    try:
        for event in events:
            line = line_of(event)
            now = time.monotonic()
            if event["event"] == "waiting":
                if line == said or now - last < _SAY_SECONDS:
                    continue
                said, last = line, now
            if line:
                typer.echo(f"  {now - began:6.1f} s  {line}")
            status = 0 if event["event"] == "done" else 1
    except KeyboardInterrupt:
        typer.echo(
            f"\nthe cutover goes on without this terminal\n  -> `{door()} cutover {short} --follow` shows it, "
            f"`{door()} rollback {short}` ends it",
            err=True,
        )
        return _INTERRUPTED
    return status


def line_of(event: Mapping[str, Any]) -> str:
    """What happened, as people read it; empty for what they need not know."""
    from tricorn.prove.place import figures_of, percent

    share = percent(int(event.get("share", 0)))
    figures = "; ".join(f"{name}: {figures_of(seen)}" for name, seen in dict(event.get("figures", {})).items())
    to = event.get("to", "")
    unseen = f"; {to} was never asked for {', '.join(event['unseen'])}" if event.get("unseen") else ""
    held = "nobody called" if event.get("quiet") else f"as good   {figures}"
    lines = {
        "waiting": f"{share}: waiting, {event.get('why', '')}",
        "passed": f"{share}: {held}",
        "watching": f"all calls go to {to}; watching for {event.get('seconds', 0):g} s more{unseen}",
        "done": f"done: {event.get('short', '')} is answered by {to}{unseen}",
        "left": f"ended at {share}: {event.get('why', '')}",
    }
    if event["event"] == "step":
        return f"{share} to {to}" if event["share"] else f"looking at python, with {to} in its shadow"
    if event["event"] in {"breach", "went back"}:
        return f"back to python from {share}, bound within {event['seconds']:.3f} s: {event['why']}"
    return lines.get(event["event"], str(event.get("why", "")))


def _history(home: Home, target: str | None) -> int:
    from tricorn.host.targets import find_target
    from tricorn.prove.ledger import Ledger
    from tricorn.prove.place import describe

    key = None
    if target is not None:
        application = manifest()
        application.activate()
        key = find_target(application, target).key
    entries = Ledger(home.path).entries(key)
    for entry in entries:
        typer.echo(describe(entry))
    if not entries:
        typer.echo(f"nothing was ever moved in {home.path}")
    return 0
