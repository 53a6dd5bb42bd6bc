"""The edge, played against by cases."""

import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tricorn.conformance import AtAddress, Case
from tricorn.conformance.started import started
from tricorn.conformance.state import load_state
from tricorn.conformance.targets import Calls
from tricorn.data import Clones, Database
from tricorn.host import load_manifest

AGORA = Path(__file__).parents[2]
MANIFEST = load_manifest(AGORA)
MANIFEST.activate()


class Edge:
    """Plays cases: each on the edge with a database of its own, prices being asked of the reference."""

    name = "go"

    def __init__(self, clones: Clones, binary: Path, pricing: str) -> None:
        self.clones = clones
        self._binary = binary
        self._pricing = pricing

    @asynccontextmanager
    async def database(self, state: Any = ()) -> AsyncIterator[str]:
        """The address of a database with these rows, for who may see what is published."""
        async with self.clones.clone() as name:
            async with Database(self.clones.server.admin_url(name), size=1) as admin:
                await load_state(admin, dict(state))
            yield self.clones.server.url(name, self.clones.names.viewer("edge"))

    @asynccontextmanager
    async def answers(self, case: Case) -> AsyncIterator[Calls]:
        with tempfile.TemporaryDirectory(prefix="edge") as folder:
            endpoints = {"agora.pricing.v1.PricingService": {"python": [self._pricing]}}
            (Path(folder) / "endpoints.json").write_text(json.dumps({"version": 1, "endpoints": endpoints}))
            command = [str(self._binary), "--metrics", "off", "--process", "edge"]
            async with self.database(case.state) as url:
                environment = {"TRICORN_DATABASE_PUBLISHED": url}
                async with (
                    started("edge", command, state=Path(folder), environment=environment) as address,
                    AtAddress(address).answers(replace(case, state={}, files={})) as calls,
                ):
                    yield calls
