"""What is to be recorded: a file in the home that the supervisor writes and every process watches.

An order ends by itself, so that a recording whose terminal is gone does not go on.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VERSION = 1
FILE = Path("prove") / "orders.json"
PARTS = Path("prove") / "recordings"
"""Where the processes write their parts, below the home: in a folder named by the order's id, ``<writer>-<pid>-<random>.part``, and ``.rec`` once
it is whole. A process that starts again begins parts of its own; whose calls are in a part, its header says."""

PART, WHOLE = ".part", ".rec"
FULL = "full"
"""A file beside the parts from when on they are, together, as large as they may be."""


@dataclass(frozen=True, slots=True)
class RecordOrder:
    """One recording.

    Args:
        id: Names its folder of parts.
        contract: The contract's full name.
        methods: Their names in the contract; none: all.
        sample: Basis points of the calls.
        until: When it ends, in seconds since the epoch.
        most_bytes: How large it may become, however many processes write it, and however often they start.
    """

    id: str
    contract: str
    methods: tuple[str, ...]
    sample: int
    until: float
    most_bytes: int

    def wants(self, contract: str, method: str) -> bool:
        return contract == self.contract and (not self.methods or method in self.methods)


Orders = Mapping[str, RecordOrder]


def dump_orders(orders: Orders) -> str:
    """The text of the file; `parse_orders` reads the same from it."""
    return json.dumps({"version": VERSION, "recordings": [asdict(order) for order in orders.values()]}, indent=1) + "\n"


def parse_orders(text: bytes | str) -> Orders:
    """Reads the file.

    Raises:
        ValueError: It is of another form; the text says how.
    """
    try:
        said = json.loads(text)
        if said["version"] != VERSION:
            raise ValueError(f"version {VERSION} is expected, not {said['version']!r}")
        return {each["id"]: _order(each) for each in said["recordings"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a file of orders: {error!r}") from error


def _order(said: Mapping[str, Any]) -> RecordOrder:
    return RecordOrder(
        id=str(said["id"]),
        contract=str(said["contract"]),
        methods=tuple(map(str, said["methods"])),
        sample=int(said["sample"]),
        until=float(said["until"]),
        most_bytes=int(said["most_bytes"]),
    )
