"""Commands of payments: `tricorn app payments ...`."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import typer

from agora.payments.ledger import Audit, Auditor
from agora.payments.server import snapshot
from agora.payments.signing import KeyRing, keys_folder
from tricorn.cli.application import HomeOption, database, home_of, manifest
from tricorn.data import Database
from tricorn.host import Settings
from tricorn.supervise.serving import database_factory

app = typer.Typer()


@app.callback()
def payments() -> None:
    """The ledger and the key that signs it."""


@app.command()
def audit(home: HomeOption = None) -> None:
    """Walk the whole ledger. Returns 1 and names the first thing that is wrong if it was tampered with."""
    state = home_of(home)
    with database(state, manifest()):
        factory = database_factory(manifest(), state.path, Settings(), ["payments"])
        seen = asyncio.run(audit_of(factory("payments"), _ring(state.path)))
    typer.echo(f"{seen.transactions} transactions with {seen.entries} entries, and {seen.unsigned} not signed yet")
    for currency, amount in sorted(seen.sums.items()):
        typer.echo(f"sum {currency} {amount}")
    if seen.finding:
        typer.echo(f"NOT intact: {seen.finding}", err=True)
        raise typer.Exit(1)
    typer.echo("intact")


@app.command()
def rotate_key(home: HomeOption = None) -> None:
    """Sign with a new key from now on. What the old one signed can still be checked; its secret is destroyed."""
    key = _ring(home_of(home).path).rotate()
    typer.echo(f"key {key.key_id} signs now; public key {key.public.hex()}")


async def audit_of(payments: Database, ring: KeyRing) -> Audit:
    """The audit of a database against the public keys of a ring."""

    async def keys() -> dict[str, bytes]:
        return ring.public_keys()

    async def here(function: Callable[..., Any], *args: object) -> Any:
        return function(*args)

    async with payments:
        return await Auditor(partial(snapshot, payments), keys, here).audit()


def _ring(home: Path) -> KeyRing:
    return KeyRing(keys_folder(home / "contexts" / "payments"))
