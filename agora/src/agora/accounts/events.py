"""What accounts publishes. It handles nothing."""

from collections.abc import Sequence

from agora.accounts.domain import Profile, Session
from agora_proto.accounts.v1.events_pb2 import UserRegistered, UserUpdated
from tricorn.contract import timestamp
from tricorn.v1.auth_pb2 import SessionRevoked


def registered(user: Profile) -> UserRegistered:
    return UserRegistered(user_id=user.user_id, display_name=user.display_name)


def updated(user_id: str, display_name: str, roles: Sequence[str]) -> UserUpdated:
    return UserUpdated(user_id=user_id, display_name=display_name, roles=roles)


def revoked(session: Session) -> SessionRevoked:
    """Broadcast: every gateway refuses the session's access tokens until the last of them has ended."""
    expire_time = timestamp(session.access_expire_time)
    return SessionRevoked(session_id=session.session_id, expire_time=expire_time)
