"""Commands of accounts: `tricorn app accounts ...`."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Annotated

import typer

from agora.accounts import framework, staff
from agora.accounts.service import Work
from agora.accounts.tokens import SigningKey
from tricorn.cli.application import HomeOption, home_of, manifest
from tricorn.host import Settings
from tricorn.supervise.serving import database_factory

app = typer.Typer()

_NOTICE_SECONDS = 60


@app.callback()
def accounts() -> None:
    """Users, sessions and the keys that sign their tokens."""


@app.command()
def rotate_keys(
    home: HomeOption = None,
    notice_seconds: Annotated[
        int, typer.Option(min=0, help="How long gateways have to read the new key before it signs.")
    ] = _NOTICE_SECONDS,
    compromised: Annotated[
        bool,
        typer.Option(
            "--compromised",
            help="Forget the keys before it at once; gateways do with the first token of the new one that they see.",
        ),
    ] = False,
) -> None:
    """Make a new key to sign access tokens with. The keys before it are honoured until their tokens have ended."""
    factory = database_factory(manifest(), home_of(home).path, Settings(), ["accounts"])
    notice = timedelta(seconds=notice_seconds)
    with ThreadPoolExecutor(1) as executor:
        key = executor.submit(rotate, factory("accounts").url, notice, compromised=compromised).result()
    when = "now" if compromised or not notice_seconds else f"in {notice_seconds} s"
    typer.echo(f"key {key.public.kid} signs {when}")


def rotate(url: str, notice: timedelta, *, compromised: bool = False) -> SigningKey:
    """Rotates the keys of the database at ``url``, on a thread that has no event loop and ends afterwards."""
    framework.configure()
    # Models exist only once Django is configured.
    from django.db import connections, transaction  # noqa: PLC0415

    from agora.accounts.repository import AccountsRepository  # noqa: PLC0415

    framework.use(url)
    try:
        with transaction.atomic():
            work = Work(AccountsRepository(), publish=_publish_nothing)
            return staff.rotate_keys(work, notice=notice, compromised=compromised)
    finally:
        connections.close_all()


def _publish_nothing(event: object, *, subject: str) -> None:
    raise AssertionError(f"rotating keys publishes no event, least of all {event} of {subject}")
