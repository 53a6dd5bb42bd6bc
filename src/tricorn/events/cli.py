"""`tricorn events`: the backlog, the dead letters and the log of every context."""

from __future__ import annotations

import asyncio
import json as json_
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer
from google.protobuf import descriptor_pool, json_format
from google.protobuf.message_factory import GetMessageClass

from tricorn.contract import PlatformReason, Refusal
from tricorn.events import dead_letters
from tricorn.events.log import prune_log, read_latest
from tricorn.events.rebuild import rebuild as rebuild_group
from tricorn.events.status import read_status

if TYPE_CHECKING:
    from tricorn.data import Database
    from tricorn.events.event import StoredEvent
    from tricorn.events.inbox import Subscription

JsonOption = Annotated[bool, typer.Option("--json", help="The same, for programs.")]
SourceOption = Annotated[str | None, typer.Option("--source", metavar="CONTEXT", help="Only events of this context.")]
GroupOption = Annotated[str | None, typer.Option("--group", help="Only this group of subscribers.")]

_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Access:
    """What a command works on: the open databases of the contexts, and the subscriptions where it asked for them."""

    databases: Mapping[str, Database]
    subscriptions: Mapping[str, Subscription[Any]] = field(default_factory=dict)

    def of(self, source: str | None) -> Mapping[str, Database]:
        """All contexts, or the one that was named.

        Raises:
            Refusal: NOT_FOUND.
        """
        if source is None:
            return self.databases
        if source not in self.databases:
            known = ", ".join(self.databases)
            raise Refusal(PlatformReason.NOT_FOUND, f"no context {source!r} has events; choose one of: {known}")
        return {source: self.databases[source]}


Open = Callable[[bool], AbstractAsyncContextManager[Access]]
"""Opens the application's databases; with True also wires its subscriptions."""


def make_app(open_access: Open) -> typer.Typer:
    """The commands, for an application that is reached through `open_access`."""
    app = typer.Typer(no_args_is_help=True, help=__doc__)

    @app.command()
    def status(json: JsonOption = False) -> None:
        """Say how much is pending, how late the oldest is, and how many dead letters there are."""
        asyncio.run(_status(open_access, json=json))

    @app.command(name="dead-letters")
    def list_letters(
        source: SourceOption = None,
        group: GroupOption = None,
        dropped: Annotated[bool, typer.Option("--dropped", help="Also those that were given up.")] = False,
        json: JsonOption = False,
    ) -> None:
        """List what could not be delivered, and why."""
        asyncio.run(_letters(open_access, source, group, dropped=dropped, json=json))

    @app.command()
    def redrive(
        event: Annotated[str | None, typer.Argument(help="An event's id: it and its aggregate's others.")] = None,
        source: SourceOption = None,
        group: GroupOption = None,
        everything: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
    ) -> None:
        """Deliver dead letters again, in order: the one that failed first, then those behind it."""
        if not (event or group or everything):
            raise typer.BadParameter("name an event, a --group, or --all")
        asyncio.run(_redrive(open_access, source, group, event))

    @app.command()
    def drop(
        event: Annotated[str, typer.Argument(help="The event's id.")],
        group: Annotated[str, typer.Option("--group", help="The group that shall not get it.")],
        reason: Annotated[str, typer.Option("--reason", help="Kept with the dead letter.")],
    ) -> None:
        """Give an event up for a group; what waits behind it is delivered."""
        asyncio.run(_drop(open_access, event, group, reason))

    @app.command()
    def rebuild(group: Annotated[str, typer.Argument(help="A group of subscribers.")]) -> None:
        """Empty a group's read model and replay the log to it."""
        asyncio.run(_rebuild(open_access, group))

    @app.command()
    def log(  # noqa: PLR0917 - the options of a command
        source: SourceOption = None,
        subject: Annotated[str | None, typer.Option(help="Only events of this aggregate.")] = None,
        type_: Annotated[str | None, typer.Option("--type", help="Only this type, by its full name.")] = None,
        limit: Annotated[int, typer.Option("-n", min=1, help="At most so many of each context.")] = 50,
        prune_days: Annotated[
            float | None,
            typer.Option(
                "--prune", min=0, metavar="DAYS", help="Delete what is older and delivered, and from inboxes."
            ),
        ] = None,
        json: JsonOption = False,
    ) -> None:
        """Show the latest events, oldest first; or delete old ones."""
        if prune_days is not None:
            asyncio.run(_prune(open_access, source, prune_days))
        else:
            asyncio.run(_log(open_access, source, subject, type_, limit, json=json))

    return app


async def _status(open_access: Open, *, json: bool) -> None:
    async with open_access(False) as access:
        found = {source: await read_status(database) for source, database in access.databases.items()}
    if json:
        typer.echo(json_.dumps({source: asdict(status) for source, status in found.items()}, indent=1))
        return
    typer.echo(f"{'context':<18} {'pending':>8} {'oldest':>10} {'parked':>7} {'waiting':>8}")
    for source, status in found.items():
        late = f"{status.lag_seconds:.1f} s" if status.pending else "-"
        typer.echo(f"{source:<18} {status.pending:>8} {late:>10} {status.parked:>7} {status.waiting:>8}")


async def _letters(open_access: Open, source: str | None, group: str | None, *, dropped: bool, json: bool) -> None:
    async with open_access(False) as access:
        found = [
            {"source": name, **asdict(letter)}
            for name, database in access.of(source).items()
            for letter in await dead_letters.list_dead_letters(database, group=group, dropped=dropped)
        ]
    if json:
        typer.echo(json_.dumps(found, indent=1, default=str))
        return
    if not found:
        typer.echo("no dead letters")
    for letter in found:
        state = "redriving" if letter["redrive"] else letter["state"]
        typer.echo(f"{letter['group']:<24} {state:<9} {letter['event_id']}  {letter['type']}")
        typer.echo(f"{'':<24} aggregate {letter['subject']}, event {letter['sequence']}, {letter['attempts']} attempts")
        typer.echo(f"{'':<24} {letter['error']}")


async def _redrive(open_access: Open, source: str | None, group: str | None, event: str | None) -> None:
    async with open_access(False) as access:
        count = 0
        for name, database in access.of(source).items():
            count += await dead_letters.redrive(database, name, group=group, event_id=event)
    typer.echo(f"{count} dead letters will be delivered again" if count else "no dead letters match")


async def _drop(open_access: Open, event: str, group: str, reason: str) -> None:
    async with open_access(False) as access:
        for name, database in access.databases.items():
            if await dead_letters.drop(database, name, group=group, event_id=event, reason=reason):
                typer.echo(f"event {event} of {name} was given up for {group}")
                return
    raise Refusal(PlatformReason.NOT_FOUND, f"group {group!r} has no dead letter {event}; see `events dead-letters`")


async def _rebuild(open_access: Open, group: str) -> None:
    async with open_access(True) as access:
        subscription = access.subscriptions.get(group)
        if subscription is None:
            known = ", ".join(sorted(access.subscriptions)) or "none"
            raise Refusal(PlatformReason.NOT_FOUND, f"there is no group {group!r}; there are: {known}")
        handled = await rebuild_group(
            subscription, access.databases, lambda count: typer.echo(f"{count} events replayed", err=True)
        )
    typer.echo(f"group {group} was rebuilt from {handled} events")


async def _prune(open_access: Open, source: str | None, days: float) -> None:
    async with open_access(False) as access:
        for name, database in access.of(source).items():
            inboxes = tuple(access.databases.values())
            count = await prune_log(database, older_than_seconds=days * _DAY_SECONDS, inboxes=inboxes)
            typer.echo(f"{name}: {count} events deleted")


async def _log(
    open_access: Open, source: str | None, subject: str | None, event_type: str | None, limit: int, *, json: bool
) -> None:
    async with open_access(True) as access:
        found = [
            event
            for name, database in access.of(source).items()
            for event in await read_latest(database, name, subject=subject, event_type=event_type, limit=limit)
        ]
    found.sort(key=lambda event: event.meta.time)
    if json:
        typer.echo(json_.dumps([{**asdict(event.meta), "data": _data(event)} for event in found], default=str))
        return
    for event in found:
        meta = event.meta
        typer.echo(f"{meta.time:%Y-%m-%d %H:%M:%S} {meta.source:<12} {meta.type} {meta.subject} #{meta.sequence}")
        typer.echo(f"  {json_.dumps(_data(event))}")


def _data(event: StoredEvent) -> Any:
    """The message in JSON; null for a type that this program does not know."""
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(event.meta.type)
    except KeyError:
        return None
    return json_format.MessageToDict(GetMessageClass(descriptor).FromString(event.data))
