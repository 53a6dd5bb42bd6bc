"""The rules of accounts: names, passwords, login limits, sessions. No clock, no database, no framework."""

import hashlib
import ipaddress
import math
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from tricorn.contract import Violation

ROLES = ("seller", "staff")
ACCESS_LIFE = timedelta(minutes=15)
REFRESH_LIFE = timedelta(days=30)
SESSION_LIFE = timedelta(days=180)
RETRY_GRACE = timedelta(seconds=10)
_IDENTIFYING_LENGTH = 4
_DISTINCT_CHARACTERS = 4


@dataclass(frozen=True, slots=True)
class Profile:
    """A user as every read shows them; ``version`` counts the changes from 1 and is the etag."""

    user_id: str
    email: str
    display_name: str
    roles: tuple[str, ...]
    version: int
    create_time: datetime
    update_time: datetime

    @property
    def etag(self) -> str:
        return str(self.version)

    def matches(self, etag: str) -> bool:
        """Whether a change on the condition of ``etag`` may be made; empty is no condition."""
        return etag in {"", self.etag}


def email_key(email: str) -> str:
    """What two spellings of one address have in common."""
    return unicodedata.normalize("NFC", email).strip().lower()


def clean_display_name(text: str) -> str:
    """Composed, without white space around it or runs of it inside; empty when nothing is left."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def weaknesses(password: str, *, email: str, display_name: str) -> list[Violation]:
    """Why a password is refused, beyond its length, which the contract rules, and being on a list of common ones."""
    found: list[Violation] = []

    def refuse(rule: str, message: str) -> None:
        found.append(Violation("password", f"password.{rule}", message))

    folded = password.casefold()
    if len(set(folded)) < _DISTINCT_CHARACTERS:
        refuse("monotonous", f"must have at least {_DISTINCT_CHARACTERS} different characters")
    if password.isdigit():
        refuse("numeric", "must not be a number")
    personal = {email_key(email), email_key(email).partition("@")[0], clean_display_name(display_name).casefold()}
    if any(len(part) >= _IDENTIFYING_LENGTH and part in folded for part in personal):
        refuse("personal", "must not contain the email or the display name")
    if "\x00" in password:
        refuse("nul", "must not contain NUL")
    return found


# --- Login limits -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limit:
    """So many failed logins within a sliding window."""

    attempts: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class Tally:
    """Attempts in the window that began at ``window_start`` and in the one before it.

    The sliding count weighs the window before by the share of it that the sliding window still covers.
    """

    window_start: datetime
    current: int = 0
    previous: int = 0

    def at(self, now: datetime, limit: Limit) -> "Tally":
        """The same tally with its windows moved forward to hold ``now``."""
        windows = math.floor((now - self.window_start) / limit.window)
        if windows <= 0:
            return self
        previous = self.current if windows == 1 else 0
        return Tally(self.window_start + windows * limit.window, 0, previous)

    def counted(self) -> "Tally":
        return replace(self, current=self.current + 1)

    def given_back(self) -> "Tally":
        """One attempt less, from the current window while it has any."""
        if self.current:
            return replace(self, current=self.current - 1)
        return replace(self, previous=max(0, self.previous - 1))

    def wait(self, now: datetime, limit: Limit) -> timedelta:
        """How long until one more attempt is allowed; zero when it is now. The tally must be that of ``now``."""
        room = limit.attempts - 1
        elapsed = (now - self.window_start) / limit.window
        if self.current <= room:
            if not self.previous:
                return timedelta(0)
            share = 1 - (room - self.current) / self.previous
            return max(timedelta(0), (share - elapsed) * limit.window)
        share = 1 - room / self.current
        return (1 - elapsed + share) * limit.window


def throttle_keys(email: str, address: str) -> list[str]:
    """The names under which a login is counted: its account's, whether it exists or not, and its address's if known."""
    keys = [_key("account", email_key(email))]
    return [*keys, _key("address", address_block(address))] if address else keys


def address_block(address: str) -> str:
    """Whom an address stands for: itself, and for IPv6 its /64, which one customer has all of."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)


def _key(kind: str, name: str) -> str:
    return f"{kind}:{hashlib.sha256(name.encode()).hexdigest()}"


# --- Sessions ---------------------------------------------------------------------------------------------------------


class EndedBy(StrEnum):
    """Why a session has ended."""

    LOGOUT = "logout"
    REUSE = "reuse"
    STAFF = "staff"


class Verdict(StrEnum):
    """What a presented refresh token deserves."""

    ROTATE = "rotate"
    RETRY = "retry"
    REUSED = "reused"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Session:
    """A login and every refresh token that came from it.

    Tokens have a generation. Presenting one of the current generation begins the next one at ``rotate_time``. A token
    of the generation just left gets another of the current one for a short grace, because its answer may have been
    lost; the two answers are equals, and using either begins the next generation for both. Whatever is older was used
    before, by its owner or by a thief: the session ends.
    """

    session_id: str
    user_id: str
    create_time: datetime
    expire_time: datetime
    access_expire_time: datetime
    generation: int = 0
    rotate_time: datetime | None = None
    ended_by: EndedBy | None = None

    @classmethod
    def begin(cls, session_id: str, user_id: str, now: datetime) -> "Session":
        return cls(session_id, user_id, now, now + REFRESH_LIFE, now + ACCESS_LIFE)

    def present(self, generation: int, now: datetime) -> Verdict:
        """What a token of ``generation`` gets at ``now``."""
        if self.ended_by is EndedBy.REUSE:
            return Verdict.REUSED
        if self.ended_by is not None or now >= self.expire_time:
            return Verdict.ENDED
        if generation == self.generation:
            return Verdict.ROTATE
        in_grace = self.rotate_time is not None and now - self.rotate_time <= RETRY_GRACE
        return Verdict.RETRY if in_grace and generation == self.generation - 1 else Verdict.REUSED

    def rotated(self, now: datetime) -> "Session":
        return replace(self.prolonged(now), generation=self.generation + 1, rotate_time=now)

    def prolonged(self, now: datetime) -> "Session":
        """With the times of a pair given out at ``now``; never beyond the life of a session."""
        expire_time = max(self.expire_time, min(now + REFRESH_LIFE, self.create_time + SESSION_LIFE))
        return replace(self, expire_time=expire_time).issuing(now)

    def issuing(self, at: datetime) -> "Session":
        """With an access token given out at ``at`` on the clock of whoever signs it, which may be ahead."""
        return replace(self, access_expire_time=max(self.access_expire_time, at + ACCESS_LIFE))

    def ended(self, by: EndedBy) -> "Session":
        """Ended; why it ended first stays the reason."""
        return self if self.ended_by else replace(self, ended_by=by)


@dataclass(frozen=True, slots=True)
class Revocation:
    """A session that was ended, and when its last access token would have ended by itself."""

    session_id: str
    expire_time: datetime


def token_digest(token: str) -> str:
    """How a refresh token is stored: the SHA-256 in hex; 256 random bits need neither salt nor stretching."""
    return hashlib.sha256(token.encode()).hexdigest()


# --- Signing keys -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeySpan:
    """When a key is used: listed from its creation, signing from ``sign_time``, honoured until ``expire_time``."""

    kid: str
    sign_time: datetime
    expire_time: datetime | None = None

    def honoured(self, now: datetime) -> bool:
        return self.expire_time is None or now < self.expire_time


def signer(keys: list[KeySpan], now: datetime) -> KeySpan | None:
    """The key that signs at ``now``: of those that may, the newest."""
    ready = [key for key in keys if key.sign_time <= now and key.honoured(now)]
    return max(ready, key=lambda key: (key.sign_time, key.kid), default=None)


def retirement(successor_signs: datetime) -> datetime:
    """When a key that stops signing at ``successor_signs`` may be forgotten: when its last token has ended.

    A second life of an access token on top of it covers clocks that differ.
    """
    return successor_signs + 2 * ACCESS_LIFE
