"""The rivals of the measurements do what Agora does, as far as a customer can see."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import Shop

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import journey
from rivals.running import NAMES, Rival

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["agora", *NAMES])
def url(request: pytest.FixtureRequest, agora: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Agora itself, or a rival filled from it."""
    if request.param == "agora":
        yield agora.url
        return
    database = json.loads((agora.home / "state.json").read_text())["databaseUrl"]
    rival = Rival.start(request.param, database, tmp_path_factory.mktemp("rival") / "log")
    yield rival.url
    rival.stop()


@pytest.mark.parametrize("check", journey.CHECKS, ids=[check.__name__ for check in journey.CHECKS])
def test_a_shop_passes_the_journey(url: str, check: journey.Check) -> None:
    check(url)
