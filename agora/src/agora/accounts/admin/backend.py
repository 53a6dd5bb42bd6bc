"""Logging in to the admin: the same passwords, and the same limits, as through the contract."""

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import ValidationError

from agora.accounts.admin.bridge import SCOPE_KEY
from agora.accounts.domain import email_key
from agora.accounts.models import User
from agora_proto.reasons import Reason
from tricorn.contract import Refusal


class StaffBackend(BaseBackend):
    def authenticate(
        self, request: Any, username: str | None = None, password: str | None = None, **_others: object
    ) -> User | None:
        """The user of an email and a password; whether it is staff is for the admin to ask.

        Raises:
            ValidationError: Too many failed; the form shows it.
        """
        if not username or not password:
            return None
        try:
            request.scope[SCOPE_KEY].verify(email=username, password=password, address=_address(request))
        except Refusal as refusal:
            if refusal.reason == Reason.BAD_CREDENTIALS:
                return None
            raise ValidationError(refusal.detail, code="refused") from refusal
        return User.objects.get_by_natural_key(email_key(username))

    def get_user(self, user_id: object) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True).first()


def _address(request: Any) -> str:
    # The gateway lets X-Forwarded-For through only from a proxy that it trusts, which appends the client to it.
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    return forwarded or request.META.get("REMOTE_ADDR", "")
