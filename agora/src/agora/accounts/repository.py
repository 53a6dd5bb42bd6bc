"""What the use cases that write ask of the tables, through Django's ORM, inside a transaction that the caller began.

Imported once Django is set up.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Lower, Now

from agora.accounts import models
from agora.accounts.domain import EndedBy, KeySpan, Limit, Profile, Session, Tally, email_key
from agora.accounts.tokens import PublicKey, SigningKey


class AccountsRepository:
    """Rows that a decision depends on are locked until the transaction ends; times are PostgreSQL's."""

    def now(self) -> datetime:
        """PostgreSQL's clock at this moment: after any wait for a lock."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            found: datetime = cursor.fetchone()[0]
            return found

    # --- users --------------------------------------------------------------------------------------------------------

    def has_email(self, email: str) -> bool:
        return bool(_by_email(email).exists())

    def add_user(self, user_id: str, email: str, display_name: str, password: str) -> Profile | None:
        """The new user, or None when the email is another's, in whatever case."""
        try:
            with transaction.atomic():
                models.User.objects.create(user_id=user_id, email=email, display_name=display_name, password=password)
        except IntegrityError as error:
            if "users_email_key" in str(error):
                return None
            raise
        return profile(models.User.objects.get(user_id=user_id))

    def credentials(self, email: str) -> tuple[str, str] | None:
        """The id and the password hash of an active user."""
        user = _by_email(email).filter(is_active=True).only("user_id", "password").first()
        return (str(user.user_id), user.password) if user else None

    def user(self, user_id: str) -> Profile | None:
        user = models.User.objects.filter(user_id=user_id, is_active=True).first()
        return profile(user) if user else None

    def lock_user(self, user_id: str) -> Profile | None:
        user = models.User.objects.select_for_update().filter(user_id=user_id, is_active=True).first()
        return profile(user) if user else None

    def account(self, user_id: str) -> tuple[Profile, bool] | None:
        """A user, locked, and whether it is active."""
        user = models.User.objects.select_for_update().filter(user_id=user_id).first()
        return (profile(user), user.is_active) if user else None

    def save_account(self, changed: Profile, *, is_active: bool) -> Profile:
        """Saves name, roles and whether it is active, as the next version."""
        models.User.objects.filter(user_id=changed.user_id).update(
            display_name=changed.display_name,
            roles=list(changed.roles),
            is_active=is_active,
            version=F("version") + 1,
            update_time=Now(),
        )
        return profile(models.User.objects.get(user_id=changed.user_id))

    def note_login(self, user_id: str, rehashed: str | None) -> None:
        """Notes the time and, when the cost of a hash has changed, the password's new one."""
        change: dict[str, Any] = {"last_login": Now()}
        if rehashed:
            change["password"] = rehashed
        models.User.objects.filter(user_id=user_id).update(**change)

    # --- login limits -------------------------------------------------------------------------------------------------

    def lock_tally(self, key: str, limit: Limit) -> Tally:
        """The tally of ``key``, as of now."""
        models.LoginTally.objects.bulk_create([models.LoginTally(key=key)], ignore_conflicts=True)
        row = models.LoginTally.objects.select_for_update().get(key=key)
        return Tally(row.window_start, row.current, row.previous).at(self.now(), limit)

    def save_tally(self, key: str, tally: Tally) -> None:
        models.LoginTally.objects.filter(key=key).update(**asdict(tally))

    # --- sessions -----------------------------------------------------------------------------------------------------

    def add_session(self, session: Session, address: str) -> None:
        models.Session.objects.create(
            session_id=session.session_id,
            user_id=session.user_id,
            address=address,
            create_time=session.create_time,
            expire_time=session.expire_time,
            access_expire_time=session.access_expire_time,
        )

    def add_token(self, digest: str, session: Session) -> None:
        models.RefreshToken.objects.create(digest=digest, session_id=session.session_id, generation=session.generation)

    def lock_session(self, digest: str) -> tuple[Session, int] | None:
        """The session of a refresh token and the token's generation."""
        token = models.RefreshToken.objects.filter(digest=digest).first()
        if token is None:
            return None
        row = models.Session.objects.select_for_update().filter(session_id=token.session_id).first()
        return (_session(row), token.generation) if row else None

    def lock_sessions_of(self, user_id: str) -> list[Session]:
        """The user's sessions that have not been ended, in id order."""
        rows = models.Session.objects.select_for_update().filter(user_id=user_id, revoke_time__isnull=True)
        return [_session(row) for row in rows.order_by("session_id")]

    def save_session(self, session: Session) -> None:
        models.Session.objects.filter(session_id=session.session_id).update(
            generation=session.generation,
            rotate_time=session.rotate_time,
            expire_time=session.expire_time,
            access_expire_time=session.access_expire_time,
        )

    def end_session(self, session: Session) -> None:
        models.Session.objects.filter(session_id=session.session_id, revoke_time__isnull=True).update(
            revoke_time=Now(), ended_by=str(session.ended_by)
        )

    # --- signing keys -------------------------------------------------------------------------------------------------

    def lock_keys(self) -> None:
        """Only one transaction at a time changes the keys."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.signing_keys'))")

    def key_spans(self) -> list[KeySpan]:
        return [KeySpan(*row) for row in models.SigningKey.objects.values_list("kid", "sign_time", "expire_time")]

    def signing_key(self, kid: str) -> SigningKey:
        row = models.SigningKey.objects.get(kid=kid)
        return SigningKey(PublicKey(row.kid, row.modulus, row.exponent), row.private_pem)

    def add_key(self, key: SigningKey, sign_time: datetime) -> None:
        models.SigningKey.objects.create(private_pem=key.private_pem, sign_time=sign_time, **asdict(key.public))

    def retire_keys(self, except_kid: str, expire_time: datetime) -> None:
        """Every other key ends at ``expire_time``, unless it ends before."""
        rows = models.SigningKey.objects.exclude(kid=except_kid)
        rows.filter(expire_time__isnull=True).update(expire_time=expire_time)
        rows.filter(expire_time__gt=expire_time).update(expire_time=expire_time)

    # --- secrets ------------------------------------------------------------------------------------------------------

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """The secret of that name, made by whoever asks first."""
        models.Secret.objects.bulk_create([models.Secret(name=name, value=make())], ignore_conflicts=True)
        return str(models.Secret.objects.get(name=name).value)


def profile(user: models.User) -> Profile:
    return Profile(
        user_id=str(user.user_id),
        email=user.email,
        display_name=user.display_name,
        roles=tuple(user.roles),
        version=user.version,
        create_time=user.create_time,
        update_time=user.update_time,
    )


def _by_email(email: str) -> Any:
    return models.User.objects.annotate(email_key=Lower("email")).filter(email_key=email_key(email))


def _session(row: models.Session) -> Session:
    return Session(
        session_id=str(row.session_id),
        user_id=str(row.user_id),
        create_time=row.create_time,
        expire_time=row.expire_time,
        access_expire_time=row.access_expire_time,
        generation=row.generation,
        rotate_time=row.rotate_time,
        ended_by=EndedBy(row.ended_by) if row.revoke_time else None,
    )
