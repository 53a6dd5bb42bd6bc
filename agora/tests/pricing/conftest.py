"""Pricing alone, on a database and a clock of the test's own."""

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agora_proto.pricing.v1.pricing_tricorn import PricingServiceClient, PromotionsServiceClient
from tricorn.clock import ManualClock
from tricorn.data import EmbeddedPostgres
from tricorn.host.testing import TestApp, running

# The generator and the oracle lie beside the tests.
sys.path.insert(0, str(Path(__file__).parent))

from extension import Engine, have_cargo, load_engine

APPLICATION = Path(__file__).parents[2] / "tricorn.toml"


@pytest.fixture
def clock() -> ManualClock:
    """Begins with the present, which is when events happen."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture
async def app(postgres: EmbeddedPostgres, clock: ManualClock) -> AsyncIterator[TestApp]:
    async with running(postgres, APPLICATION, ["pricing"], clock=clock) as app:
        yield app


@pytest.fixture
def pricing(app: TestApp) -> PricingServiceClient:
    return app.client(PricingServiceClient)


@pytest.fixture
def promotions(app: TestApp) -> PromotionsServiceClient:
    return app.client(PromotionsServiceClient)


@pytest.fixture(scope="session")
def engine() -> Engine:
    if not have_cargo():
        pytest.skip("there is no cargo to build the Rust engine with")
    return load_engine()
