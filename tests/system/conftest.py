import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shop import Shop

# What grows builds native parts: tests that are not about those say so, and the others name their shape.
os.environ.setdefault("TRICORN_SHAPE", "python")


# Begun first, so that at the end nobody waits for one of them.
_LONGEST = ("trouble", "grow", "handover", "purchase", "one_trace", "killed_during_an_order", "limits", "edge_reads")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take longest before the others of this folder, which comes last."""
    here = Path(__file__).parent
    rank = {f"test_{name}.py": place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)) if item.path.parent == here else -1)


@pytest.fixture(scope="session")
def agora(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A filled shop that many tests share; each uses customers of its own. Its limits are out of the way."""
    shop = Shop(
        tmp_path_factory.mktemp("agora") / "home",
        environment={"TRICORN_RATE_FACTOR": "100", "TRICORN_TRACE_RATE": "1000"},
    )
    shop.up()
    yield shop
    shop.down()
