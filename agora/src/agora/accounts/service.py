"""What accounts can do: the use cases, and what they need from outside."""

import math
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn, Protocol, TypeVar

from google.protobuf.message import Message

from agora.accounts import events
from agora.accounts.domain import (
    ACCESS_LIFE,
    EndedBy,
    KeySpan,
    Limit,
    Profile,
    Revocation,
    Session,
    Tally,
    Verdict,
    clean_display_name,
    signer,
    throttle_keys,
    token_digest,
    weaknesses,
)
from agora.accounts.tokens import AccessTokens, PublicKey, SigningKey, new_refresh_token
from agora_proto.reasons import Reason
from tricorn.clock import Clock
from tricorn.contract import PlatformReason, Refusal, Violation
from tricorn.data import uuid7

R = TypeVar("R")


class Repository(Protocol):
    """The rows, inside a transaction; see ``repository.AccountsRepository``."""

    def now(self) -> datetime: ...
    def has_email(self, email: str) -> bool: ...
    def add_user(self, user_id: str, email: str, display_name: str, password: str) -> Profile | None: ...
    def credentials(self, email: str) -> tuple[str, str] | None: ...
    def user(self, user_id: str) -> Profile | None: ...
    def lock_user(self, user_id: str) -> Profile | None: ...
    def account(self, user_id: str) -> tuple[Profile, bool] | None: ...
    def save_account(self, profile: Profile, *, is_active: bool) -> Profile: ...
    def note_login(self, user_id: str, rehashed: str | None) -> None: ...
    def lock_tally(self, key: str, limit: Limit) -> Tally: ...
    def save_tally(self, key: str, tally: Tally) -> None: ...
    def add_session(self, session: Session, address: str) -> None: ...
    def add_token(self, digest: str, session: Session) -> None: ...
    def lock_session(self, digest: str) -> tuple[Session, int] | None: ...
    def lock_sessions_of(self, user_id: str) -> list[Session]: ...
    def save_session(self, session: Session) -> None: ...
    def end_session(self, session: Session) -> None: ...
    def lock_keys(self) -> None: ...
    def key_spans(self) -> list[KeySpan]: ...
    def signing_key(self, kid: str) -> SigningKey: ...
    def add_key(self, key: SigningKey, sign_time: datetime) -> None: ...
    def retire_keys(self, except_kid: str, expire_time: datetime) -> None: ...
    def secret(self, name: str, make: Callable[[], str]) -> str: ...


class Publish(Protocol):
    """Puts an event into the outbox, in the transaction of the calling thread."""

    def __call__(self, event: Message, *, subject: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Work:
    """A unit of work: what is done and published through it commits together."""

    repository: Repository
    publish: Publish


class Transact(Protocol):
    """Runs steps in one transaction, away from the event loop."""

    def __call__(self, steps: Callable[[Work], R]) -> Awaitable[R]: ...


class Reads(Protocol):
    """Reads outside a transaction; see ``directory.Directory``."""

    async def user(self, user_id: str) -> Profile | None: ...
    async def users(self, *, prefix: str, after: str, limit: int) -> list[Profile]: ...
    async def public_keys(self) -> list[PublicKey]: ...
    async def revocations(self) -> list[Revocation]: ...


class Rename(Protocol):
    """Gives a user another name and announces it, by itself; see ``directory.Directory.rename``."""

    def __call__(
        self, user_id: str, display_name: str, *, roles: Sequence[str], etag: str
    ) -> Awaitable[Profile | None]: ...


class Hashing(Protocol):
    """See ``passwords.Passwords``."""

    async def hash(self, password: str) -> str: ...
    async def matches(self, password: str, encoded: str | None) -> bool: ...
    async def is_common(self, password: str) -> bool: ...
    def is_outdated(self, encoded: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class LoginLimits:
    account: Limit
    address: Limit

    def of(self, key: str) -> Limit:
        return self.account if key.startswith("account:") else self.address


@dataclass(frozen=True, slots=True)
class Pair:
    """An access token and the refresh token that continues its session."""

    access_token: str
    refresh_token: str
    life: timedelta = ACCESS_LIFE


class AccountsService:
    def __init__(
        self,
        *,
        transact: Transact,
        reads: Reads,
        rename: Rename,
        passwords: Hashing,
        tokens: AccessTokens,
        clock: Clock,
        limits: LoginLimits,
    ) -> None:
        self._transact = transact
        self._reads = reads
        self._rename = rename
        self._passwords = passwords
        self._tokens = tokens
        self._clock = clock
        self._limits = limits

    async def register(self, *, email: str, password: str, display_name: str) -> Profile:
        """A new user without roles. Refuses a weak password and an email that is taken in any case (EMAIL_TAKEN)."""
        name = clean_display_name(display_name)
        violations = weaknesses(password, email=email, display_name=name)
        if not name:
            violations.append(_blank_name("display_name"))
        if not violations and await self._passwords.is_common(password):
            violations.append(Violation("password", "password.common", "is one of the most used passwords"))
        if violations:
            raise Refusal(PlatformReason.INVALID_ARGUMENT, "the registration breaks a rule", violations=violations)
        if await self._transact(lambda work: work.repository.has_email(email)):
            raise _taken()
        encoded = await self._passwords.hash(password)

        def add(work: Work) -> Profile | None:
            user = work.repository.add_user(uuid7(), email, name, encoded)
            if user:
                work.publish(events.registered(user), subject=user.user_id)
            return user

        user = await self._transact(add)
        if user is None:
            raise _taken()
        return user

    async def login(self, *, email: str, password: str, address: str) -> Pair:
        """Begins a session. A wrong password and an unknown email get the same answer after the same work.

        An attempt is counted before the password is looked at and given back when it was right, so that many at once
        cannot pass the limit (LOGIN_THROTTLED).
        """
        encoded = await self.verify(email=email, password=password, address=address)
        outdated = self._passwords.is_outdated(encoded)
        rehashed = await self._passwords.hash(password) if outdated else None

        def begin(work: Work) -> Pair:
            user_id, current = work.repository.credentials(email) or _raise(_bad_credentials())
            user = work.repository.lock_user(user_id) or _raise(_bad_credentials())
            if current != encoded:
                raise Refusal(PlatformReason.ABORTED, "the password changed at the same moment; try again")
            work.repository.note_login(user.user_id, rehashed)
            session = Session.begin(uuid7(), user.user_id, work.repository.now()).issuing(self._clock.now())
            work.repository.add_session(session, address)
            return self._issue(work, session, user)

        return await self._transact(begin)

    async def verify(self, *, email: str, password: str, address: str) -> str:
        """The stored hash, if the password is right; the limits of ``login`` hold."""
        keys = throttle_keys(email, address)

        def count(work: Work) -> tuple[timedelta, tuple[str, str] | None]:
            return _count(work, keys, self._limits), work.repository.credentials(email)

        wait, known = await self._transact(count)
        if wait:
            seconds = math.ceil(wait.total_seconds())
            detail = f"too many failed logins; try again in {seconds} s"
            raise Refusal(Reason.LOGIN_THROTTLED, detail, retry_after=float(seconds))
        encoded = known[1] if known else None
        if not await self._passwords.matches(password, encoded) or encoded is None:
            raise _bad_credentials()
        await self._transact(lambda work: _give_back(work, keys, self._limits))
        return encoded

    async def refresh(self, *, refresh_token: str) -> Pair:
        """The next pair of a session. A token used before ends it (TOKEN_REUSED), but for a retry just after."""

        def present(work: Work) -> Pair | Verdict:
            found = work.repository.lock_session(token_digest(refresh_token))
            if found is None:
                return Verdict.ENDED
            session, generation = found
            now = work.repository.now()
            verdict = session.present(generation, now)
            if verdict is Verdict.REUSED:
                end_session(work, session, EndedBy.REUSE)
            if verdict in {Verdict.REUSED, Verdict.ENDED}:
                return verdict
            user = work.repository.user(session.user_id)
            if user is None:
                return Verdict.ENDED
            session = session.rotated(now) if verdict is Verdict.ROTATE else session.prolonged(now)
            session = session.issuing(self._clock.now())
            work.repository.save_session(session)
            return self._issue(work, session, user)

        answer = await self._transact(present)
        if answer is Verdict.REUSED:
            raise Refusal(Reason.TOKEN_REUSED, "the refresh token was used before: its session has ended; log in again")
        if not isinstance(answer, Pair):
            raise Refusal(
                PlatformReason.UNAUTHENTICATED, "the refresh token is unknown or its session has ended; log in"
            )
        return answer

    async def logout(self, *, refresh_token: str) -> None:
        """Ends the session that the token belongs to, whichever of its tokens it is. An unknown token is no error."""

        def end(work: Work) -> None:
            found = work.repository.lock_session(token_digest(refresh_token))
            if found:
                end_session(work, found[0], EndedBy.LOGOUT)

        await self._transact(end)

    async def public_keys(self) -> Sequence[PublicKey]:
        """Every key that an unexpired token may be signed with, and the one that signs next."""
        return await self._reads.public_keys()

    async def revocations(self) -> Sequence[Revocation]:
        """The sessions that were ended while an access token of theirs may still be valid."""
        return await self._reads.revocations()

    async def me(self, user_id: str) -> Profile:
        """The caller; UNAUTHENTICATED when the account is gone."""
        return await self._reads.user(user_id) or _raise(_gone())

    async def change_me(
        self, user_id: str, *, display_name: str | None, etag: str, likely_roles: Collection[str] = ()
    ) -> Profile:
        """Changes what is not None, if ``etag`` matches (else PRECONDITION_FAILED). The same name changes nothing.

        ``likely_roles`` are those that the caller's token names: when they hold still, the change needs nothing read before.
        """
        name = None if display_name is None else clean_display_name(display_name)
        if name == "":
            violations = [_blank_name("user.display_name")]
            raise Refusal(PlatformReason.INVALID_ARGUMENT, "the change breaks a rule", violations=violations)
        roles: Sequence[str] = sorted(likely_roles)
        while True:  # again only when somebody else has changed the user meanwhile
            renamed = None if name is None else await self._rename(user_id, name, roles=roles, etag=etag)
            if renamed is not None:
                return renamed
            user = await self.me(user_id)
            if not user.matches(etag):
                raise Refusal(
                    PlatformReason.PRECONDITION_FAILED,
                    "the user has changed since; read again and repeat",
                    metadata={"etag": user.etag},
                )
            if name is None or name == user.display_name:
                return user
            roles = user.roles

    async def user(self, user_id: str) -> Profile:
        """Anyone; NOT_FOUND when there is no such user."""
        found = await self._reads.user(user_id)
        return found or _raise(Refusal(PlatformReason.NOT_FOUND, f"no user {user_id}"))

    async def users(self, *, prefix: str, after: str, limit: int) -> tuple[list[Profile], bool]:
        """A page in order of email, from behind ``after``, and whether there are more."""
        found = await self._reads.users(prefix=prefix, after=after, limit=limit + 1)
        return found[:limit], len(found) > limit

    def _issue(self, work: Work, session: Session, user: Profile) -> Pair:
        now = self._clock.now()
        span = signer(work.repository.key_spans(), work.repository.now())
        if span is None:
            raise Refusal(PlatformReason.UNAVAILABLE, "there is no key to sign with yet", retry_after=1.0)
        refresh_token = new_refresh_token()
        work.repository.add_token(token_digest(refresh_token), session)
        access_token = self._tokens.sign(
            work.repository.signing_key(span.kid),
            user_id=user.user_id,
            session_id=session.session_id,
            roles=user.roles,
            now=now,
        )
        return Pair(access_token, refresh_token)


def _count(work: Work, keys: list[str], limits: LoginLimits) -> timedelta:
    """Counts an attempt under each key, if all have room; else how long until they have."""
    now = work.repository.now()
    tallies = {key: work.repository.lock_tally(key, limits.of(key)) for key in sorted(keys)}
    wait = max(tally.wait(now, limits.of(key)) for key, tally in tallies.items())
    if not wait:
        for key, tally in tallies.items():
            work.repository.save_tally(key, tally.counted())
    return wait


def _give_back(work: Work, keys: list[str], limits: LoginLimits) -> None:
    for key in sorted(keys):
        work.repository.save_tally(key, work.repository.lock_tally(key, limits.of(key)).given_back())


def end_session(work: Work, session: Session, by: EndedBy) -> None:
    """Ends it, unless it has ended: its access tokens are refused within a second."""
    if session.ended_by is None:
        work.repository.end_session(session.ended(by))
        work.publish(events.revoked(session), subject=session.session_id)


def _raise(refusal: Refusal) -> NoReturn:
    raise refusal


def _taken() -> Refusal:
    return Refusal(Reason.EMAIL_TAKEN, "somebody has registered with this email; log in instead")


def _bad_credentials() -> Refusal:
    return Refusal(Reason.BAD_CREDENTIALS, "the email or the password is wrong")


def _gone() -> Refusal:
    return Refusal(PlatformReason.UNAUTHENTICATED, "the account does not exist any more; register again")


def _blank_name(field: str) -> Violation:
    return Violation(field, "display_name.blank", "must not be blank")
