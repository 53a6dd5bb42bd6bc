"""What needs no thread of the ORM: reads (users from the published view, keys, revocations), the hottest route among them, and
the one change that users make of themselves.
"""

from collections.abc import Sequence
from typing import Any

from agora.accounts import events
from agora.accounts.domain import Profile, Revocation
from agora.accounts.tokens import PublicKey
from tricorn.data import Database, array_text, retry_aborted
from tricorn.events import Announce, Change

_COLUMNS = "user_id, email, display_name, roles, version, create_time, update_time"
_USER = f"SELECT {_COLUMNS} FROM published.user_v1 WHERE user_id = $1"
_LIST = f"""
    SELECT {_COLUMNS} FROM published.user_v1
    WHERE ($1 = '' OR lower(email) COLLATE "C" ^@ lower($1) OR lower(display_name) COLLATE "C" ^@ lower($1))
      AND lower(email) COLLATE "C" > $2
    ORDER BY lower(email) COLLATE "C"
    LIMIT $3
"""
# What the event says of the roles is known before the row is read, so they must be those of the row.
_RENAME = Change(
    "wanted_id uuid, wanted_name text, known_roles text, etag text",
    f"""
    UPDATE users SET display_name = wanted_name, version = version + 1, update_time = statement_timestamp() FROM asked
    WHERE user_id = wanted_id AND user_id = ANY ($1) AND is_active AND display_name <> wanted_name
        AND roles = known_roles::varchar[] AND etag IN ('', version::text)
    RETURNING asked.n, {_COLUMNS}
    """,
)
_KEYS = """
    SELECT kid, modulus, exponent FROM signing_keys
    WHERE expire_time IS NULL OR expire_time > clock_timestamp()
    ORDER BY sign_time DESC, kid DESC
"""
# Gateways' clocks may be behind PostgreSQL's: a revocation is listed a while longer than it should have to be.
_REVOCATIONS = """
    SELECT session_id, access_expire_time FROM sessions
    WHERE revoke_time IS NOT NULL AND access_expire_time > clock_timestamp() - interval '15 minutes'
    ORDER BY access_expire_time, session_id
"""
# What no decision depends on any more. Tokens go with their sessions; an ended session stays until it would have ended
# by itself, so that the reuse of its tokens is still known for what it is.
_SWEEP = (
    """
    WITH expired AS (SELECT session_id FROM sessions WHERE expire_time < clock_timestamp() - interval '1 hour'),
    tokens AS (DELETE FROM refresh_tokens USING expired WHERE refresh_tokens.session_id = expired.session_id)
    DELETE FROM sessions USING expired WHERE sessions.session_id = expired.session_id
    """,
    "DELETE FROM login_tallies WHERE window_start < clock_timestamp() - interval '1 day'",
    "DELETE FROM signing_keys WHERE expire_time < clock_timestamp() - interval '1 hour'",
    "DELETE FROM django_session WHERE expire_date < clock_timestamp()",
)


class Directory:
    def __init__(self, database: Database, announce: Announce) -> None:
        self._database = database
        self._announce = announce

    async def user(self, user_id: str) -> Profile | None:
        row = await self._database.fetchrow(_USER, user_id)
        return _profile(row) if row else None

    async def users(self, *, prefix: str, after: str, limit: int) -> list[Profile]:
        """In order of email, those whose email or display name begins with ``prefix``, in whatever case."""
        return [_profile(row) for row in await self._database.fetch(_LIST, prefix, after, limit)]

    async def rename(self, user_id: str, display_name: str, *, roles: Sequence[str], etag: str) -> Profile | None:
        """Gives a user another name, as the next version, and announces it, both or neither.

        Returns:
            None when nothing was changed: the user is gone, has that name, has other roles than ``roles``, in their order, or
            another version than ``etag``, where one is given.
        """
        event = events.updated(user_id, display_name, roles)
        row = await retry_aborted(
            lambda: self._announce(
                _RENAME, user_id, display_name, array_text(roles), etag, event=event, subject=user_id
            )
        )
        return _profile(row[1:]) if row else None

    async def public_keys(self) -> list[PublicKey]:
        """The newest first; one that does not sign yet is among them."""
        return [PublicKey(*row) for row in await self._database.fetch(_KEYS)]

    async def revocations(self) -> list[Revocation]:
        rows = await self._database.fetch(_REVOCATIONS)
        return [Revocation(str(row["session_id"]), row["access_expire_time"]) for row in rows]

    async def sweep(self) -> None:
        """Deletes what has expired."""
        for statement in _SWEEP:
            await self._database.execute(statement)


def _profile(row: Any) -> Profile:
    user_id, email, display_name, roles, version, create_time, update_time = row
    return Profile(str(user_id), email, display_name, tuple(roles), version, create_time, update_time)
