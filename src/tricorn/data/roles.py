"""Who may do what: an owner and a runtime role for each context, one schema for what is published, and viewers of that alone.

Roles belong to the whole server, so their names carry a prefix; a cloned test database shares its template's roles.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import asyncpg

from tricorn.data.names import RoleNames

PUBLISHED = "published"
EXTENSIONS = "extensions"
LOCK_MILLISECONDS = 2_000
STATEMENT_MILLISECONDS = 4_000
IDLE_IN_TRANSACTION_MILLISECONDS = 5_000
OWNER_LOCK_MILLISECONDS = 10_000
_ATTEMPTS = 20


def role_settings(context: str) -> tuple[dict[str, str], dict[str, str]]:
    """The session settings of a context's owner and runtime role; the limits lie below the deadlines of requests."""
    path = f"{quote(context)}, {EXTENSIONS}"
    owner = {"search_path": path, "lock_timeout": f"{OWNER_LOCK_MILLISECONDS}ms", "statement_timeout": "0"}
    return owner, _session(path)


def viewer_settings() -> dict[str, str]:
    """The session settings of a role that reads published views alone."""
    return {**_session(PUBLISHED), "default_transaction_read_only": "on"}


def _session(path: str) -> dict[str, str]:
    return {
        "search_path": path,
        "lock_timeout": f"{LOCK_MILLISECONDS}ms",
        "statement_timeout": f"{STATEMENT_MILLISECONDS}ms",
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_MILLISECONDS}ms",
        "jit": "off",
        # A statement's text is constant, and planning it for its arguments would cost more than running it. A plan that
        # is kept must not be one for a table that was small when it was made: an index is used wherever there is one.
        "plan_cache_mode": "force_generic_plan",
        "random_page_cost": "1.1",
        "enable_seqscan": "off",
    }


async def ensure_roles(
    admin: Any,
    names: RoleNames,
    contexts: Sequence[str],
    password: Callable[[str], str | None],
    viewers: Iterable[str] = (),
) -> None:
    """Create or mend every role; several processes may do so at once, on different databases of one server."""
    statements = [_create(names.readers, "nologin", None)]
    for context in contexts:
        owner, runtime = names.owner(context), names.runtime(context)
        for role, settings in zip((owner, runtime), role_settings(context), strict=True):
            statements += _login(role, settings, password(role))
        statements.append(f"grant {quote(owner)} to current_user")
        statements.append(f"grant {quote(names.readers)} to {quote(runtime)}")
    for viewer in viewers:
        role = names.viewer(viewer)
        statements += _login(role, viewer_settings(), password(role))
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


async def ensure_views(
    admin: Any, names: RoleNames, contexts: Sequence[str], viewers: Mapping[str, Sequence[str]]
) -> None:
    """Let each viewer read what its contexts publish, now and later, and nothing that others do. Needs the schemas."""
    for viewer, reads in viewers.items():
        role = quote(names.viewer(viewer))
        await admin.execute(f"revoke all on all tables in schema {PUBLISHED} from {role}")
        await admin.execute(f"grant usage on schema {PUBLISHED} to {role}")
        for context in contexts:
            owner = names.owner(context)
            change = f"grant select on tables to {role}" if context in reads else f"revoke all on tables from {role}"
            await admin.execute(f"alter default privileges for role {quote(owner)} in schema {PUBLISHED} {change}")
        for view in await admin.fetch(
            "select format('%I.%I', nspname, relname) from pg_class join pg_namespace n on n.oid = relnamespace"
            " where nspname = $1 and relkind in ('v', 'm', 'r', 'p') and pg_get_userbyid(relowner) = any($2::text[])",
            PUBLISHED,
            [names.owner(context) for context in reads],
        ):
            await admin.execute(f"grant select on {view[0]} to {role}")


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


def _login(role: str, settings: Mapping[str, str], password: str | None) -> list[str]:
    changes = [f"alter role {quote(role)} set {name} = {_value(name, value)}" for name, value in settings.items()]
    return [_create(role, "login", password), *changes]


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
