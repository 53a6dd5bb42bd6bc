"""The data room: the embedded PostgreSQL, roles, migrations, connections and their budget.

Names are loaded when first used: who only starts the server does not wait for what only queries need.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tricorn.data.budget import check_budget
    from tricorn.data.clones import Clones
    from tricorn.data.database import Connection, Database, Record
    from tricorn.data.databases import drop_database, ensure_database
    from tricorn.data.errors import DataError
    from tricorn.data.failures import retry_aborted
    from tricorn.data.ids import uuid7
    from tricorn.data.migrations import Migrated, migrate
    from tricorn.data.names import RoleNames
    from tricorn.data.pace import Pace
    from tricorn.data.postgres import EmbeddedPostgres
    from tricorn.data.revisions import ContextMigrations, Tool, fingerprint_files
    from tricorn.data.server import ExternalServer, Server, server_for
    from tricorn.data.together import Together, array_text, asked

__all__ = [
    "Clones",
    "Connection",
    "ContextMigrations",
    "DataError",
    "Database",
    "EmbeddedPostgres",
    "ExternalServer",
    "Migrated",
    "Pace",
    "Record",
    "RoleNames",
    "Server",
    "Together",
    "Tool",
    "array_text",
    "asked",
    "check_budget",
    "drop_database",
    "ensure_database",
    "fingerprint_files",
    "migrate",
    "retry_aborted",
    "server_for",
    "uuid7",
]

_MODULES = {
    "budget": ("check_budget",),
    "clones": ("Clones",),
    "database": ("Connection", "Database", "Record"),
    "databases": ("drop_database", "ensure_database"),
    "errors": ("DataError",),
    "failures": ("retry_aborted",),
    "ids": ("uuid7",),
    "migrations": ("Migrated", "migrate"),
    "pace": ("Pace",),
    "postgres": ("EmbeddedPostgres",),
    "revisions": ("ContextMigrations", "Tool", "fingerprint_files"),
    "names": ("RoleNames",),
    "server": ("ExternalServer", "Server", "server_for"),
    "together": ("Together", "array_text", "asked"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
