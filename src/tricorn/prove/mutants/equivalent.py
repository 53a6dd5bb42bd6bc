"""``evidence/equivalent.toml``: mutants that are claimed to change nothing that a caller could see, each with the reason.

``[[equivalent]]`` with ``mutant`` (its name, as `verify` lists it) and ``reason``. A claim is only that: the mutant is planted and tried like any
other, and one that is killed after all makes its claim false, which is said.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tricorn.prove.errors import ProveError

FILE = "equivalent.toml"


@dataclass(frozen=True, slots=True)
class Claim:
    mutant: str
    reason: str


def load_claims(folder: Path) -> dict[str, Claim]:
    """The claims by the mutant's name; none when there is no file.

    Raises:
        ProveError: The file is not of the form.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        claims = [Claim(str(each["mutant"]), str(each["reason"])) for each in said.get("equivalent", [])]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ProveError(
            f"{path} is not of its form: {error}", remedy="each [[equivalent]] has mutant and reason"
        ) from error
    if nameless := [claim.mutant for claim in claims if not claim.reason.strip()]:
        raise ProveError(
            f"{path}: no reason is given for {nameless[0]!r}", remedy="say why nobody can see the difference"
        )
    return {claim.mutant: claim for claim in claims}
