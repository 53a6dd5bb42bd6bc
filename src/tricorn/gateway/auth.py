"""Who calls: bearer tokens (JWT, RS256 only), the keys that sign them, and the sessions that were revoked."""

import asyncio
import base64
import binascii
import hashlib
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from tricorn.contract import PlatformReason, Refusal
from tricorn.gateway.config import AuthConfig
from tricorn.wire import Identity

log = logging.getLogger(__name__)

_LONGEST_TOKEN = 8192
_AHEAD = 90.0
"""Seconds that the clock of whoever signs tokens may be ahead: a new token is good at once, whosever clock is a minute off."""

_SMALLEST_MODULUS = 2048
_PARTS = 3
_ISSUER_TIME = 2.0
_SPREAD = 0.2
"""The part of the interval by which gateways ask sooner or later, so that they do not all ask at once."""


class KeySet:
    """The issuer's public keys by id.

    An unknown id makes it ask again, one question at a time and at most every ``refresh_interval`` seconds, so that
    invented ids stall nobody. It asks besides every ``renew_interval`` seconds in which tokens come, since one that the
    issuer withdrew may be named by nobody else. While the issuer is down the keys it gave last stay good.
    """

    def __init__(self, config: AuthConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._keys: dict[str, RSAPublicKey] = {}
        self.withdrawn = 0
        """How often the issuer stopped showing a key."""
        self._asked = float("-inf")
        self._due = float("inf")
        self._asking: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> RSAPublicKey | None:
        """The key; None when the issuer does not know it.

        Raises:
            Refusal: UNAVAILABLE, when the issuer never answered yet.
        """
        key = self._keys.get(key_id)
        if key is not None:
            self.renew()
            return key
        await self.refresh()
        if not self._keys:
            raise Refusal(PlatformReason.UNAVAILABLE, "tokens cannot be checked at the moment", retry_after=1)
        return self._keys.get(key_id)

    def renew(self) -> None:
        """Asks for the keys when they are old. Nobody waits for the answer."""
        if self._clock() >= self._due:
            self._begin()

    async def refresh(self) -> None:
        """Asks for the keys, unless that was done a moment ago."""
        self._begin()
        if self._asking is not None:
            await asyncio.shield(self._asking)

    def _begin(self) -> None:
        now = self._clock()
        wait = self._config.refresh_interval if self._keys else min(0.2, self._config.refresh_interval)
        if self._asking is None and now - self._asked >= wait:
            spread = random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - nothing is secret about it
            self._asked, self._due = now, now + self._config.renew_interval * spread
            self._asking = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(_ISSUER_TIME):
                answer: Any = await self._config.keys()
            keys = {key.kid: made for key in answer.keys if (made := _public_key(key)) is not None}
            if keys:
                self.withdrawn += any(keys.get(kid) != key for kid, key in self._keys.items())
                self._keys = keys
            else:
                log.error("the issuer answered with no usable key; the ones known stay good")
        except Exception:
            log.exception("the issuer did not give its keys; the ones known stay good")
        finally:
            self._asking = None


def _public_key(key: Any) -> RSAPublicKey | None:
    if key.kty != "RSA" or key.alg not in ("", "RS256") or key.use not in ("", "sig") or not key.kid:
        return None
    try:
        made = RSAPublicNumbers(_unsigned(key.e), _unsigned(key.n)).public_key()
    except (ValueError, binascii.Error):
        log.warning("the key %s is no RSA key", key.kid)
        return None
    return made if made.key_size >= _SMALLEST_MODULUS else None


def _unsigned(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


@dataclass(frozen=True, slots=True)
class _Remembered:
    identity: Identity
    expires: float
    withdrawn: int


class Authenticator:
    """Turns an Authorization header into an identity.

    A token that was verified is remembered by its hash until it ends or the issuer withdraws a key, so that the
    signature is checked once; each call still asks whether its session was revoked.
    """

    def __init__(
        self,
        config: AuthConfig,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        tokens: int = 20_000,
    ) -> None:
        self._config = config
        self._wall = wall
        self._capacity = tokens
        self._tokens: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._revoked: dict[str, float] = {}
        self.keys = KeySet(config, clock)

    def revoke(self, session_id: str, expire_time: float) -> None:
        """Refuses a session from now on. ``expire_time`` (Unix seconds): when its last token ends and this may be
        forgotten.
        """
        self._revoked[session_id] = max(expire_time, self._revoked.get(session_id, 0.0))

    def remembered(self, header: str) -> Identity | None:
        """The identity of a token that was verified before; None: ask `authenticate`."""
        found = self._tokens.get(hashlib.sha256(header.encode("latin-1")).digest())
        if found is None or found.expires <= self._wall() or found.identity.session_id in self._revoked:
            return None
        self.keys.renew()
        return found.identity if found.withdrawn == self.keys.withdrawn else None

    async def authenticate(self, header: str) -> Identity:
        """The identity in an Authorization header.

        Raises:
            Refusal: UNAUTHENTICATED, when the token is bad, has ended or was revoked; UNAVAILABLE, when it cannot be
            checked.
        """
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > _LONGEST_TOKEN:
            raise _refused("the Authorization header holds no bearer token")
        withdrawn = self.keys.withdrawn
        claims = await self._verify(token)
        identity = _identity(claims)
        if identity.session_id in self._revoked:
            raise _refused("the session has ended; log in again")
        self._tokens[hashlib.sha256(header.encode("latin-1")).digest()] = _Remembered(
            identity, float(claims["exp"]) + self._config.leeway, withdrawn
        )
        if len(self._tokens) > self._capacity:
            self._tokens.popitem(last=False)
        return identity

    async def read_revocations(self) -> None:
        """Takes over what the issuer says was revoked, and forgets what has ended."""
        if self._config.revocations is not None:
            async with asyncio.timeout(_ISSUER_TIME):
                answer: Any = await self._config.revocations()
            for each in answer.revocations:
                self.revoke(each.session_id, each.expire_time.seconds + 1)
        now = self._wall() - self._config.leeway
        self._revoked = {session: ends for session, ends in self._revoked.items() if ends > now}

    async def _verify(self, token: str) -> dict[str, Any]:
        parts = token.encode("latin-1", "replace").split(b".")
        if len(parts) != _PARTS:
            raise _refused("the token is no JWT")
        try:
            head = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise _refused("the token is no JWT") from None
        if head.get("alg") != "RS256" or "crit" in head or not isinstance(head.get("kid"), str):
            raise _refused("the token must be signed with RS256 and name its key")
        key = await self.keys.find(head["kid"])
        if key is None:
            raise _refused("the token is signed with a key that is not known")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=self._config.issuer,
                audience=self._config.audience,
                leeway=self._config.leeway,
                options={
                    "require": ["exp", "iss", "aud", "sub", "sid", "roles"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.PyJWTError, InvalidSignature):
            raise _refused("the token is not valid here") from None
        self._check_times(claims)
        return claims

    def _check_times(self, claims: dict[str, Any]) -> None:
        now, leeway = self._wall(), self._config.leeway
        for name in ("exp", "nbf", "iat"):
            if name in claims and (isinstance(claims[name], bool) or not isinstance(claims[name], int | float)):
                raise _refused("the token is not valid here")
        if claims.get("iat", now) > now + _AHEAD:
            raise _refused("the token is not valid here")
        if claims["exp"] + leeway <= now:
            raise _refused("the token has ended; refresh it")
        if claims.get("nbf", now) > now + _AHEAD:
            raise _refused("the token is not valid yet")


def _identity(claims: dict[str, Any]) -> Identity:
    user, session, roles = claims["sub"], claims["sid"], claims["roles"]
    if (
        not isinstance(user, str)
        or not isinstance(session, str)
        or not user
        or not session
        or not isinstance(roles, list)
    ):
        raise _refused("the token is not valid here")
    if not all(isinstance(role, str) for role in roles):
        raise _refused("the token is not valid here")
    return Identity(user_id=user, session_id=session, roles=frozenset(roles))


def _refused(detail: str) -> Refusal:
    return Refusal(PlatformReason.UNAUTHENTICATED, detail)
