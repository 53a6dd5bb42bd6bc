import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "toy"))

from toy_application import toy  # noqa: F401 - a fixture, found through the line above
