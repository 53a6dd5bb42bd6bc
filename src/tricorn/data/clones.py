"""Databases made in milliseconds: one template is migrated, each test or case gets a copy of it."""

import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from tricorn.data.connecting import connect_admin
from tricorn.data.databases import create_database, drop_database
from tricorn.data.migrations import migrate
from tricorn.data.names import RoleNames
from tricorn.data.revisions import ContextMigrations, fingerprint_files
from tricorn.data.roles import quote
from tricorn.data.server import Server

_LOCK = 0x7472_6963_6F72_6E02  # "tricorn", 2: one maker of templates on a server at a time

Fill = Callable[[str], Awaitable[None]]


class Clones:
    """Copies of one migrated database. The copies share the template's roles.

    Args:
        server: a started server whose administrator may create databases.
        contexts: what the template's schemas are made of.
        prefix: of the roles' names; see `migrate`.
        fill: puts rows into the template once, given its name; no connection to it may stay open.
        fill_key: changes when `fill` would put in something else.
    """

    def __init__(
        self,
        server: Server,
        contexts: Sequence[ContextMigrations],
        *,
        prefix: str,
        fill: Fill | None = None,
        fill_key: str = "",
    ) -> None:
        self.server = server
        self.names = RoleNames(prefix)
        self._contexts = tuple(contexts)
        self._fill = fill
        self._template = f"{prefix}_template_{_key(contexts, fill_key)}"
        self._ready = False

    async def template(self) -> str:
        """The template's name; it is made when no run before has made it. Half-made ones are never seen."""
        if self._ready:
            return self._template
        admin = await connect_admin(self.server)
        try:
            await admin.execute("select pg_advisory_lock($1)", _LOCK)
            if not await admin.fetchval("select exists (select from pg_database where datname = $1)", self._template):
                scratch = f"{self._template}_{secrets.token_hex(4)}"
                await create_database(admin, scratch)
                try:
                    await migrate(self.server, scratch, self._contexts, prefix=self.names.prefix)
                    if self._fill is not None:
                        await self._fill(scratch)
                    await admin.execute(f"alter database {quote(scratch)} rename to {quote(self._template)}")
                except BaseException:
                    await admin.execute(f"drop database if exists {quote(scratch)} with (force)")
                    raise
        finally:
            await admin.close()
        self._ready = True
        return self._template

    async def create(self, name: str | None = None) -> str:
        """A new copy's name, the one that is asked for or one of its own; the caller drops it."""
        template = await self.template()
        name = name or f"{self.names.prefix}_clone_{secrets.token_hex(6)}"
        admin = await connect_admin(self.server)
        try:
            # Copying files needs two checkpoints: twice as fast where they do not flush, far slower where they do.
            strategy = "wal_log" if await admin.fetchval("show fsync") == "on" else "file_copy"
            await admin.execute(f"create database {quote(name)} template {quote(template)} strategy {strategy}")
        finally:
            await admin.close()
        return name

    async def drop(self, name: str) -> None:
        """Remove a copy, cutting whoever is still connected to it."""
        await drop_database(self.server, name)

    @asynccontextmanager
    async def clone(self, name: str | None = None) -> AsyncIterator[str]:
        """A copy for the length of the block; see `create`."""
        name = await self.create(name)
        try:
            yield name
        finally:
            await self.drop(name)

    def url(self, name: str, context: str) -> str:
        """The address of a copy for a context's runtime role."""
        return self.server.url(name, self.names.runtime(context))


def _key(contexts: Sequence[ContextMigrations], fill_key: str) -> str:
    content = [
        [
            context.name,
            fingerprint_files([*context.extra.values(), *([context.path] if context.path else [])]),
            context.tool.fingerprint if context.tool else None,
            context.extensions,
            context.viewers,
        ]
        for context in contexts
    ]
    return hashlib.sha256(json.dumps([content, fill_key], sort_keys=True).encode()).hexdigest()[:12]
