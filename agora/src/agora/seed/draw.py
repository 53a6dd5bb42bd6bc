"""Chance that is the same on every machine, whatever Python draws it and in whatever order."""

import uuid
from functools import cache
from hashlib import blake2b

SEED = "agora demo data 1"


def between(low: int, high: int, *name: str | int) -> int:
    """Returns an integer from `low` to `high`, both included, which depends on the name alone."""
    digest = blake2b("\0".join((SEED, *map(str, name))).encode(), digest_size=8).digest()
    return low + int.from_bytes(digest) % (high - low + 1)


def stable_id(kind: str, name: str) -> str:
    """Returns the UUIDv5 of a seeded thing: the same in every shop, so that links and tests may name it."""
    return str(uuid.uuid5(_namespace(kind), name))


@cache
def _namespace(kind: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"tricorn:agora:{kind}")
