"""Who calls and how often, and answers remembered for a second: all of it for one process, as most shops have it."""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error
from argon2.low_level import Type
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from rivals.rules import RefusedError

ACCESS_SECONDS = 900
_ISSUER = _AUDIENCE = "agora"
_MOST = 50_000
# As Django stores Argon2, which is where the demonstration's people come from.
_DJANGO = "argon2"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token it is."""

    user_id: str
    roles: frozenset[str]


class Tokens:
    """RS256 tokens; one that was verified is remembered until it ends."""

    def __init__(self, kid: str, private_pem: str) -> None:
        private = load_pem_private_key(private_pem.encode(), password=None)
        if not isinstance(private, rsa.RSAPrivateKey):
            raise TypeError("a signing key must be an RSA key")
        self._kid, self._private, self._public = kid, private, private.public_key()
        self._known: OrderedDict[str, tuple[Caller, float]] = OrderedDict()

    def sign(self, user_id: str, roles: list[str]) -> str:
        now = int(time.time())
        claims = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": user_id, "sid": str(uuid4()), "roles": roles, "iat": now,
                  "exp": now + ACCESS_SECONDS, "jti": str(uuid4())}  # fmt: skip
        return jwt.encode(claims, self._private, algorithm="RS256", headers={"kid": self._kid})

    def caller(self, authorization: str | None) -> Caller:
        """Raises:
        RefusedError: there is no good token.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise RefusedError(401, "UNAUTHENTICATED", "A token is needed.")
        known = self._known.get(token)
        if known is not None and known[1] > time.time():
            return known[0]
        try:
            claims = jwt.decode(token, self._public, algorithms=["RS256"], audience=_AUDIENCE, issuer=_ISSUER)
        except jwt.PyJWTError as error:
            raise RefusedError(401, "UNAUTHENTICATED", "The token is not good.") from error
        caller = Caller(claims["sub"], frozenset(claims["roles"]))
        self._known[token] = (caller, float(claims["exp"]))
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return caller


class Limits:
    """Generalised cell rate: ``burst`` calls at once, ``limit`` in a minute, for each caller."""

    def __init__(self, factor: float) -> None:
        self._rates = {"read": (6000 * factor, 600 * factor), "write": (1200 * factor, 200 * factor)}
        self._due: OrderedDict[tuple[str, str], float] = OrderedDict()

    def check(self, rate: str, caller: str) -> None:
        """Raises:
        RefusedError: too many calls.
        """
        limit, burst = self._rates[rate]
        step, now = 60 / limit, time.monotonic()
        due = max(self._due.get((rate, caller), 0.0), now) + step
        if due - now > step * burst:
            raise RefusedError(429, "RATE_LIMITED", "Too many requests.")
        self._due[rate, caller] = due
        if len(self._due) > _MOST:
            self._due.popitem(last=False)


class Remembered:
    """Answers for one second, as Agora's gateway may give a product or the figures again."""

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._kept: OrderedDict[Any, tuple[bytes, float]] = OrderedDict()

    def get(self, key: Any) -> bytes | None:
        found = self._kept.get(key)
        return found[0] if found is not None and found[1] > time.monotonic() else None

    def put(self, key: Any, answer: bytes) -> bytes:
        self._kept[key] = (answer, time.monotonic() + self._seconds)
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return answer


class Passwords:
    """Argon2id at Agora's cost: 19 MiB and five passes."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=5, memory_cost=19456, parallelism=1, type=Type.ID)

    def encode(self, password: str) -> str:
        return f"{_DJANGO}{self._hasher.hash(password)}"

    def matches(self, row: Mapping[str, Any] | None, password: str) -> bool:
        """For nobody it takes as long as for somebody."""
        kept = row["password"] if row is not None else ""
        if not kept.startswith(_DJANGO + "$"):
            self._hasher.hash(password)
            return False
        try:
            return self._hasher.verify(kept.removeprefix(_DJANGO), password)
        except Argon2Error:
            return False


def staff_only(caller: Caller) -> None:
    """Raises:
    RefusedError: it is not for this caller.
    """
    if "staff" not in caller.roles:
        raise RefusedError(403, "PERMISSION_DENIED", "It takes the role staff.")


def unknown_login() -> RefusedError:
    return RefusedError(401, "UNAUTHENTICATED", "The email or the password is wrong.")


def words_of(query: str) -> str | None:
    """A text query in which each word is a prefix; None without words."""
    words = "".join(each if each.isalnum() else " " for each in query).split()
    return " & ".join(f"{word}:*" for word in words) or None
