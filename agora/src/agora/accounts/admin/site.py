"""The pages on which staff look after users."""

from typing import TYPE_CHECKING, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator

from agora.accounts.admin.bridge import SCOPE_KEY, Bridge
from agora.accounts.domain import ROLES, clean_display_name
from agora.accounts.models import Session, User
from agora.accounts.staff import change_user, end_sessions

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from agora.accounts.customers import CustomerCard

_UNKNOWN = "not available now"
_RECENT_LOGINS = 10
_SHOWN_OF_EMAIL = 60


class AccountsSite(admin.AdminSite):
    site_header = "Agora"
    site_title = "Agora"
    index_title = "Staff"
    site_url = "/docs"

    def password_change(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        """A new password ends every session that began with the old one."""
        with transaction.atomic():
            answer = super().password_change(request, extra_context)
            if isinstance(answer, HttpResponseRedirect):
                end_sessions(_bridge(request).work(), str(request.user.pk))
        return answer


class UserForm(forms.ModelForm):
    roles = forms.MultipleChoiceField(
        choices=[(role, role) for role in ROLES],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="Whoever loses a role is logged out everywhere.",
    )

    class Meta:
        model = User
        fields = ("display_name", "roles", "is_active")

    def clean_display_name(self) -> str:
        name = clean_display_name(self.cleaned_data["display_name"])
        if not name:
            raise forms.ValidationError("must not be blank")
        return name


class RoleFilter(admin.SimpleListFilter):
    title = "role"
    parameter_name = "role"

    def lookups(self, _request: HttpRequest, _model_admin: object) -> list[tuple[str, str]]:
        return [(role, role) for role in ROLES]

    def queryset(self, _request: HttpRequest, users: "QuerySet[User]") -> "QuerySet[User]":
        return users.filter(roles__contains=[self.value()]) if self.value() else users


class UserAdmin(admin.ModelAdmin):
    form = UserForm
    list_display = ("short_email", "display_name", "role_names", "is_active", "last_login", "create_time")
    list_filter = (RoleFilter, "is_active")
    search_fields = ("email", "display_name")
    ordering = ("email",)
    list_per_page = 50
    readonly_fields = ("email", "user_id", "create_time", "update_time", "last_login", "recent_logins", "customer")
    fieldsets = (
        (None, {"fields": ("email", "display_name", "roles", "is_active")}),
        ("As a customer", {"fields": ("customer",)}),
        ("History", {"fields": ("create_time", "update_time", "last_login", "recent_logins", "user_id")}),
    )
    actions: ClassVar = ["end_all_sessions"]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> User | None:
        user: User | None = super().get_object(request, object_id, from_field)
        if user is not None:
            user.card = lambda: _bridge(request).card(str(user.user_id))
        return user

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _user: User | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, user: User, _form: forms.ModelForm, _change: object) -> None:
        changed = change_user(
            _bridge(request).work(),
            str(user.user_id),
            display_name=user.display_name,
            roles=user.roles,
            is_active=user.is_active,
        )
        if changed is None:
            messages.error(request, "The user does not exist any more; nothing was changed.")

    @admin.display(description="email", ordering="email")
    def short_email(self, user: User) -> str:
        """An address of 254 characters would push all other columns out of sight."""
        return str(Truncator(user.email).chars(_SHOWN_OF_EMAIL))

    @admin.display(description="roles")
    def role_names(self, user: User) -> str:
        return ", ".join(user.roles)

    @admin.display(description="orders and spending")
    def customer(self, user: User) -> str:
        card: CustomerCard = user.card()
        orders, standing = card.orders, card.standing
        counted = f"{orders.count}{' or more' if orders.more else ''}" if orders else _UNKNOWN
        spent = f"{standing.spent_minor_units / 100:.2f} USD, tier {standing.tier}" if standing else _UNKNOWN
        return format_html("<div>orders: {}</div><div>spent: {}</div>", counted, spent)

    @admin.display(description="recent logins")
    def recent_logins(self, user: User) -> str:
        logins = Session.objects.filter(user=user).order_by("-create_time")[:_RECENT_LOGINS]
        lines = (
            (f"{each.create_time:%Y-%m-%d %H:%M}", each.address or "?", each.ended_by or "open") for each in logins
        )
        return format_html_join("", "<div>{} UTC from {}: {}</div>", lines) or "none"

    @admin.action(description="End all sessions of the selected users")
    def end_all_sessions(self, request: HttpRequest, users: "QuerySet[User]") -> None:
        with transaction.atomic():
            ended = sum(end_sessions(_bridge(request).work(), str(user.user_id)) for user in users.order_by("user_id"))
        messages.success(request, f"{ended} sessions ended.")


def _bridge(request: HttpRequest) -> Bridge:
    bridge: Bridge = request.scope[SCOPE_KEY]
    return bridge


site = AccountsSite(name="admin")
site.register(User, UserAdmin)
