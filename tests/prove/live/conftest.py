import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from probes import Two, generated  # noqa: F401 - found through the line above


@pytest.fixture
def two(generated: Path) -> Two:  # noqa: F811 - the fixture
    return Two()
