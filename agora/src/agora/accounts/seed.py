"""How users lie in the tables of accounts, for whoever fills a new shop."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from agora.accounts.passwords import UNUSABLE, encode

Table = tuple[str, tuple[str, ...], list[Sequence[Any]]]


def users(rows: Iterable[tuple[str, str, str, Sequence[str], datetime, str | None]]) -> Table:
    """From (user_id, email, display name, roles, when they registered, password).

    Without a password nobody can log in; each that is given costs one hash.
    """
    columns = (
        "user_id", "email", "display_name", "roles", "is_active", "version", "create_time", "update_time", "password",
    )  # fmt: skip
    return "users", columns, [
        (user_id, email, name, list(roles), True, 1, joined, joined, encode(password) if password else UNUSABLE)
        for user_id, email, name, roles, joined, password in rows
    ]  # fmt: skip
