"""``known_gaps.toml``: cases that an implementation is known not to meet. A list that may only shrink.

``[[gap]]`` with ``case`` (its id), ``implementation`` and ``reason``. A gap's case is played like any other; once it passes, the run fails until the
gap is struck out.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tricorn.conformance.cases import CaseError


@dataclass(frozen=True, slots=True)
class Gap:
    case: str
    implementation: str
    reason: str


def load_gaps(path: Path) -> list[Gap]:
    """The gaps in a file; none when there is no file.

    Raises:
        CaseError: The file is not of the form.
    """
    if not path.exists():
        return []
    try:
        said = tomllib.loads(path.read_text())
        return [Gap(gap["case"], gap["implementation"], gap["reason"]) for gap in said.get("gap", [])]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        message = f"{path.name}: each [[gap]] has case, implementation and reason: {error}"
        raise CaseError(message) from error
