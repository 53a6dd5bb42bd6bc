"""An empty shop: the contexts that are filled, on a database of the test's own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tricorn.data import Database, EmbeddedPostgres
from tricorn.host.manifest import load_manifest
from tricorn.host.testing import clones_for

APPLICATION = Path(__file__).parents[2] / "tricorn.toml"
CONTEXTS = ["accounts", "catalog", "inventory", "pricing"]


@pytest.fixture
async def databases(postgres: EmbeddedPostgres) -> AsyncIterator[dict[str, Database]]:
    """Each context's database, with the rights of its runtime role."""
    manifest = load_manifest(APPLICATION)
    manifest.activate()
    clones = clones_for(postgres, manifest, CONTEXTS)
    async with clones.clone() as name, AsyncExitStack() as stack:
        yield {
            context: await stack.enter_async_context(Database(clones.url(name, context), size=2))
            for context in CONTEXTS
        }
