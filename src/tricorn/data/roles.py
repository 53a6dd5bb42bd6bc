"""Who may do what: an owner and a runtime role for each context, and one schema for what is published.

Roles belong to the whole server, so their names carry a prefix; a cloned test database shares its template's roles.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from tricorn.data.errors import DataError

PUBLISHED = "published"
EXTENSIONS = "extensions"
LOCK_MILLISECONDS = 2_000
STATEMENT_MILLISECONDS = 4_000
IDLE_IN_TRANSACTION_MILLISECONDS = 5_000
OWNER_LOCK_MILLISECONDS = 10_000
_LONGEST_NAME = 63
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class RoleNames:
    """The names of an application's roles, from a prefix that all its databases on a server share."""

    prefix: str

    def owner(self, context: str) -> str:
        return self._name(f"{context}_owner")

    def runtime(self, context: str) -> str:
        return self._name(f"{context}_runtime")

    @property
    def readers(self) -> str:
        """The group of all runtime roles: it may read what is published."""
        return self._name("readers")

    def _name(self, suffix: str) -> str:
        name = f"{self.prefix}_{suffix}"
        if len(name) > _LONGEST_NAME:
            raise DataError(
                f"the role name {name!r} is longer than PostgreSQL's {_LONGEST_NAME} characters",
                where=f"application {self.prefix!r}",
                remedy="choose a shorter name for the application or the context",
            )
        return name


def role_settings(context: str) -> tuple[dict[str, str], dict[str, str]]:
    """The session settings of a context's owner and runtime role; the limits lie below the deadlines of requests."""
    path = f"{quote(context)}, {EXTENSIONS}"
    owner = {"search_path": path, "lock_timeout": f"{OWNER_LOCK_MILLISECONDS}ms", "statement_timeout": "0"}
    runtime = {
        "search_path": path,
        "lock_timeout": f"{LOCK_MILLISECONDS}ms",
        "statement_timeout": f"{STATEMENT_MILLISECONDS}ms",
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_MILLISECONDS}ms",
        "jit": "off",
        # A statement's text is constant, and planning it for its arguments would cost more than running it. A plan that
        # is kept must not be one for a table that was small when it was made: an index costs little more than a page.
        "plan_cache_mode": "force_generic_plan",
        "random_page_cost": "1.1",
    }
    return owner, runtime


async def ensure_roles(
    admin: Any, names: RoleNames, contexts: Sequence[str], password: Callable[[str], str | None]
) -> None:
    """Create or mend every role; several processes may do so at once, on different databases of one server."""
    statements = [_create(names.readers, "nologin", None)]
    for context in contexts:
        owner, runtime = names.owner(context), names.runtime(context)
        for role, settings in zip((owner, runtime), role_settings(context), strict=True):
            statements.append(_create(role, "login", password(role)))
            statements += [
                f"alter role {quote(role)} set {name} = {_value(name, value)}" for name, value in settings.items()
            ]
        statements.append(f"grant {quote(owner)} to current_user")
        statements.append(f"grant {quote(names.readers)} to {quote(runtime)}")
    is_superuser = await admin.fetchval("select rolsuper from pg_roles where rolname = current_user")
    for statement in statements:
        if is_superuser and statement.endswith("to current_user"):
            continue
        await _execute_alone(admin, statement)


async def ensure_schemas(admin: Any, names: RoleNames, contexts: Sequence[str], extensions: Sequence[str]) -> None:
    """Create every schema with its grants, in the current database."""
    readers = quote(names.readers)
    statements = [
        f"create schema if not exists {PUBLISHED}",
        f"grant usage on schema {PUBLISHED} to {readers}",
        f"create schema if not exists {EXTENSIONS}",
        f"grant usage on schema {EXTENSIONS} to public",
        *[f"create extension if not exists {quote(name)} schema {EXTENSIONS}" for name in extensions],
    ]
    for context in contexts:
        schema, owner, runtime = quote(context), quote(names.owner(context)), quote(names.runtime(context))
        default = f"alter default privileges for role {owner} in schema"
        statements += [
            f"create schema if not exists {schema} authorization {owner}",
            f"grant usage on schema {schema} to {runtime}",
            f"grant usage, create on schema {PUBLISHED} to {owner}",
            f"grant usage on schema {EXTENSIONS} to {owner}",
            f"{default} {schema} grant select, insert, update, delete on tables to {runtime}",
            f"{default} {schema} grant usage, select on sequences to {runtime}",
            f"{default} {schema} grant execute on functions to {runtime}",
            f"{default} {PUBLISHED} grant select on tables to {readers}",
        ]
    for statement in statements:
        await admin.execute(statement)


async def ensure_grants(admin: Any, names: RoleNames, version_tables: Mapping[str, Sequence[str]]) -> None:
    """What the default privileges give to new tables, given also to those that were there before them.

    `version_tables` names each context's tables that note its migrations: those stay the owner's alone.
    """
    for context, tables in version_tables.items():
        schema, runtime = quote(context), quote(names.runtime(context))
        await admin.execute(f"grant select, insert, update, delete on all tables in schema {schema} to {runtime}")
        await admin.execute(f"grant usage, select on all sequences in schema {schema} to {runtime}")
        for table in tables:
            await admin.execute(f"revoke all on table {schema}.{quote(table)} from {runtime}")


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _create(role: str, login: str, password: str | None) -> str:
    literal = "" if password is None else " password '" + password.replace("'", "''") + "'"
    name = role.replace("'", "''")
    return f"""do $do$ begin
        if not exists (select from pg_roles where rolname = '{name}') then create role {quote(role)}; end if;
        alter role {quote(role)} {login}{literal};
    end $do$"""


def _value(name: str, value: str) -> str:
    return value if name == "search_path" else f"'{value}'"


async def _execute_alone(admin: Any, statement: str) -> None:
    """Roles are shared by all databases, so another database's migrator may be changing the same row right now."""
    for attempt in range(_ATTEMPTS):
        try:
            await admin.execute(statement)
        except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
            continue
        except asyncpg.InternalServerError as error:
            if "concurrently" not in str(error) or attempt == _ATTEMPTS - 1:
                raise
        else:
            return
    await admin.execute(statement)
