"""What staff and operators can do: change a user, end sessions, rotate keys. Each runs in one transaction."""

import secrets
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from agora.accounts import events
from agora.accounts.domain import EndedBy, Profile, clean_display_name, retirement
from agora.accounts.service import Work, end_session
from agora.accounts.tokens import SigningKey, new_signing_key


def change_user(
    work: Work, user_id: str, *, display_name: str, roles: Collection[str], is_active: bool
) -> Profile | None:
    """The user as changed; None when there is none.

    Roles stand in tokens, so whoever loses one, or is no longer active, has to log in again: the sessions end.
    """
    found = work.repository.account(user_id)
    if found is None:
        return None
    before, was_active = found
    wanted = replace(before, display_name=clean_display_name(display_name), roles=tuple(sorted(set(roles))))
    if (wanted, is_active) == (before, was_active):
        return before
    after = work.repository.save_account(wanted, is_active=is_active)
    if set(before.roles) - set(after.roles) or not is_active:
        end_sessions(work, user_id)
    work.publish(events.updated(user_id, after.display_name, after.roles), subject=user_id)
    return after


def end_sessions(work: Work, user_id: str) -> int:
    """Ends all sessions of a user; how many there were."""
    sessions = work.repository.lock_sessions_of(user_id)
    for session in sessions:
        end_session(work, session, EndedBy.STAFF)
    return len(sessions)


def shared_secret(work: Work) -> str:
    """What this context's processes sign the admin's cookies with: made once."""
    return work.repository.secret("admin", lambda: secrets.token_urlsafe(48))


def ensure_key(work: Work) -> None:
    """Makes the first signing key, which signs from now on, unless there is one."""
    work.repository.lock_keys()
    if not any(span.expire_time is None for span in work.repository.key_spans()):
        work.repository.add_key(new_signing_key(), work.repository.now())


def rotate_keys(work: Work, *, notice: timedelta, compromised: bool = False) -> SigningKey:
    """Makes the key that signs from ``notice`` from now on, so that every gateway has read it by then.

    The keys before it stay honoured until their tokens have ended. Compromised ones are forgotten at once: whoever has
    a token of theirs must refresh it.
    """
    work.repository.lock_keys()
    now = work.repository.now()
    sign_time = now if compromised else now + notice
    key = new_signing_key()
    work.repository.add_key(key, sign_time)
    work.repository.retire_keys(key.public.kid, now if compromised else retirement(sign_time))
    return key
