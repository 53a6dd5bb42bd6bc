"""Django inside this process: configured by a function, on PostgreSQL, with no settings module and no global start."""

import threading
from typing import Any

import django
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import load_backend
from psycopg.conninfo import conninfo_to_dict

_lock = threading.Lock()
_ENGINE = "django.db.backends.postgresql"
_APPS = (
    "agora.accounts",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
)
_MIDDLEWARE = (
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "agora.accounts.admin.changes.Announce",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
)
_CONTEXT_PROCESSORS = (
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
)
_PASSWORD_RULES = (
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
)


def configure(*, secure: bool = False, hosts: tuple[str, ...] = (), origins: tuple[str, ...] = ()) -> None:
    """Sets Django up, once in a process; later calls change nothing.

    Args:
        secure: Cookies only over HTTPS; false on a developer's machine.
        hosts: The host names that pages may be asked for by; any, when empty.
        origins: ``https://shop.example`` of a proxy that ends TLS and does not say so.
    """
    with _lock:
        if settings.configured:
            return
        settings.configure(
            DEBUG=False,
            SECRET_KEY="",  # `share_secret` sets it, from the database, before the first page
            INSTALLED_APPS=list(_APPS),
            MIDDLEWARE=list(_MIDDLEWARE),
            ROOT_URLCONF="agora.accounts.admin.urls",
            TEMPLATES=[
                {
                    "BACKEND": "django.template.backends.django.DjangoTemplates",
                    "DIRS": [],
                    "APP_DIRS": True,
                    "OPTIONS": {"context_processors": list(_CONTEXT_PROCESSORS)},
                }
            ],
            DATABASES={DEFAULT_DB_ALIAS: {"ENGINE": _ENGINE, "NAME": "none"}},  # each thread says its own with `use`
            AUTH_USER_MODEL="accounts.User",
            AUTHENTICATION_BACKENDS=["agora.accounts.admin.backend.StaffBackend"],
            PASSWORD_HASHERS=["agora.accounts.passwords.PasswordHasher"],
            AUTH_PASSWORD_VALIDATORS=list(_PASSWORD_RULES),
            USE_TZ=True,
            TIME_ZONE="UTC",
            LANGUAGE_CODE="en-gb",
            USE_I18N=False,
            STATIC_URL="/static/",
            LOGIN_URL="admin:login",
            LOGGING_CONFIG=None,
            ALLOWED_HOSTS=list(hosts) or ["*"],
            CSRF_TRUSTED_ORIGINS=list(origins),
            SESSION_COOKIE_NAME="agora_admin",
            SESSION_COOKIE_PATH="/admin",
            SESSION_COOKIE_SECURE=secure,
            SESSION_COOKIE_SAMESITE="Lax",
            SESSION_COOKIE_AGE=12 * 60 * 60,
            CSRF_COOKIE_NAME="agora_admin_csrf",
            CSRF_COOKIE_PATH="/admin",
            CSRF_COOKIE_SECURE=secure,
            SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
        )
        django.setup()


def share_secret(secret: str) -> None:
    """What admin sessions and forms are signed with: the same in all processes, and after a restart."""
    settings.SECRET_KEY = secret


def use(url: str, name: str = "agora-accounts") -> None:
    """Makes ``url`` the database of the calling thread, known there as ``name``.

    The role's own settings give the schema and the time limits.
    """
    said = {"application_name": name} | conninfo_to_dict(url)
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    entry: dict[str, Any] = {name: str(said.pop(key, "")) for name, key in names.items()}
    entry |= {"ENGINE": _ENGINE, "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True, "OPTIONS": said}
    configured = connections.configure_settings({DEFAULT_DB_ALIAS: entry})[DEFAULT_DB_ALIAS]
    connections[DEFAULT_DB_ALIAS] = load_backend(_ENGINE).DatabaseWrapper(configured, DEFAULT_DB_ALIAS)
