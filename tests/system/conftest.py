import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shop import Shop

# What grows builds native parts: tests that are not about those say so, and the others name their shape.
os.environ.setdefault("TRICORN_SHAPE", "python")


@pytest.fixture(scope="session")
def agora(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A filled shop that many tests share; each uses customers of its own. Its limits are out of the way."""
    shop = Shop(tmp_path_factory.mktemp("agora") / "home", environment={"TRICORN_RATE_FACTOR": "100"})
    shop.up()
    yield shop
    shop.down()
