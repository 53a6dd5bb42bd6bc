"""The tables, as Django sees them. Imported by ``django.setup()`` only."""

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower, Now

from agora.accounts.passwords import UNUSABLE
from tricorn.data import uuid7


class UserManager(BaseUserManager):
    def get_by_natural_key(self, username: str) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    user_id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(max_length=254)
    password = models.CharField(max_length=128, db_default=UNUSABLE)
    display_name = models.CharField(max_length=80)
    roles = ArrayField(models.CharField(max_length=32), default=list, db_default=[], blank=True)
    is_active = models.BooleanField("active", default=True, db_default=True)
    version = models.BigIntegerField(default=1, db_default=1, editable=False)
    create_time = models.DateTimeField("registered", db_default=Now(), editable=False)
    update_time = models.DateTimeField("changed", db_default=Now(), editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["display_name"]

    class Meta:
        db_table = "users"
        constraints: ClassVar = [
            models.UniqueConstraint(Lower("email"), name="users_email_key", violation_error_message="Email is taken."),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="users_version_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.display_name} <{self.email}>"

    @property
    def is_staff(self) -> bool:
        return "staff" in self.roles

    # Staff may do everything that the admin shows; it shows nothing that staff may not do.
    def has_perm(self, _permission: str, _instance: object = None) -> bool:
        return bool(self.is_active and self.is_staff)

    def has_module_perms(self, _label: str) -> bool:
        return bool(self.is_active and self.is_staff)


class Session(models.Model):
    """A login with all refresh tokens that came from it; ``generation`` is that of the newest."""

    session_id = models.UUIDField(primary_key=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="logins")
    address = models.CharField(max_length=64, default="", db_default="")
    generation = models.IntegerField(default=0, db_default=0)
    create_time = models.DateTimeField("began", db_default=Now())
    rotate_time = models.DateTimeField("last refreshed", null=True)
    expire_time = models.DateTimeField("ends")
    access_expire_time = models.DateTimeField()
    revoke_time = models.DateTimeField("ended", null=True)
    ended_by = models.CharField(max_length=16, default="", db_default="")

    class Meta:
        db_table = "sessions"
        indexes: ClassVar = [
            models.Index(fields=["expire_time"], name="sessions_expire_time"),
            models.Index(
                fields=["access_expire_time"],
                name="sessions_revoked",
                condition=models.Q(revoke_time__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.session_id)


class RefreshToken(models.Model):
    """Only a digest: who reads the table can use none of them."""

    digest = models.CharField(primary_key=True, max_length=64)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="tokens")
    generation = models.IntegerField(default=0, db_default=0)

    class Meta:
        db_table = "refresh_tokens"

    def __str__(self) -> str:
        return f"generation {self.generation}"


class LoginTally(models.Model):
    """Attempts to log in, of an account or from an address, in a window and the one before it."""

    key = models.CharField(primary_key=True, max_length=80)
    window_start = models.DateTimeField(db_default=Now())
    current = models.IntegerField(default=0, db_default=0)
    previous = models.IntegerField(default=0, db_default=0)

    class Meta:
        db_table = "login_tallies"
        indexes: ClassVar = [models.Index(fields=["window_start"], name="login_tallies_window_start")]

    def __str__(self) -> str:
        return str(self.key)


class SigningKey(models.Model):
    """Key pairs of access tokens. No role but those of this context can read the table."""

    kid = models.CharField(primary_key=True, max_length=64)
    private_pem = models.TextField()
    modulus = models.TextField()
    exponent = models.CharField(max_length=16)
    sign_time = models.DateTimeField(db_default=Now())
    expire_time = models.DateTimeField(null=True)

    class Meta:
        db_table = "signing_keys"

    def __str__(self) -> str:
        return str(self.kid)


class Secret(models.Model):
    """What all processes of this context share and nobody else may know."""

    name = models.CharField(primary_key=True, max_length=32)
    value = models.TextField()

    class Meta:
        db_table = "secrets"

    def __str__(self) -> str:
        return str(self.name)
