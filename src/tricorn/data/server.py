"""The server that is there: the embedded one, or the one that `DATABASE_URL` names. Both look the same from here."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit, urlunsplit

from tricorn.data.errors import DataError
from tricorn.data.postgres import EmbeddedPostgres

_SECRET_FILE = "database.secret"  # noqa: S105 - its name, not itself


class Server(Protocol):
    """Where databases live. `start` and `stop` block and may be called when there is nothing to do."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def url(self, database: str, user: str) -> str:
        """A connection URL for a role that `tricorn.data.migrate` made."""
        ...

    def admin_url(self, database: str | None = None) -> str:
        """A connection URL for whoever may create roles and databases; without `database`: where one always is."""
        ...

    def password(self, role: str) -> str | None:
        """The password a role is given; none where the socket's folder is the guard."""
        ...


class ExternalServer:
    """A PostgreSQL that somebody else runs.

    Its roles' passwords are derived from one secret: 32 random bytes in `state_dir`, readable by its owner only, made
    on first use. Several machines that share one database share the secret, by copying that file or by the environment
    variable TRICORN_DATABASE_SECRET.

    Args:
        admin_url: `postgresql://user:password@host:port/database` of a role with CREATEROLE and CREATEDB.
        state_dir: where the secret is kept.
    """

    def __init__(self, admin_url: str, *, state_dir: Path) -> None:
        parts = urlsplit(admin_url)
        if parts.scheme not in ("postgresql", "postgres"):
            raise DataError(
                "DATABASE_URL is not a PostgreSQL address",
                where=f"{parts.scheme or 'no scheme'}://...",
                remedy="write it as postgresql://user:password@host:5432/database",
            )
        try:
            _ = parts.port if "," not in parts.netloc else None
        except ValueError:
            raise DataError(
                "DATABASE_URL cannot be read: what should be the port is not a number",
                where=f"{parts.scheme}://...",
                remedy="write special characters of the password as %2F, %23, %40, ...",
            ) from None
        self._parts = parts
        self._state_dir = state_dir
        self._secret: bytes | None = None

    @property
    def database(self) -> str:
        """The database that the address names."""
        return self._parts.path.lstrip("/") or "postgres"

    def start(self) -> None:
        """Somebody else has."""

    def stop(self) -> None:
        """Somebody else will."""

    def url(self, database: str, user: str) -> str:
        location = self._parts.netloc.rpartition("@")[2]
        netloc = f"{quote(user)}:{self.password(user)}@{location}"
        return urlunsplit(("postgresql", netloc, "/" + quote(database), self._parts.query, ""))

    def admin_url(self, database: str | None = None) -> str:
        path = "/" + quote(database or self.database)
        return urlunsplit(("postgresql", self._parts.netloc, path, self._parts.query, ""))

    def password(self, role: str) -> str:
        if self._secret is None:
            self._secret = _read_or_make_secret(self._state_dir)
        return hmac.new(self._secret, role.encode(), hashlib.sha256).hexdigest()


def _read_or_make_secret(state_dir: Path) -> bytes:
    given = os.environ.get("TRICORN_DATABASE_SECRET")
    if given:
        return given.encode()
    path = state_dir / _SECRET_FILE
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        try:
            os.link(scratch, path)  # fails when it is there: the first one stays
        except FileExistsError:
            pass
        finally:
            scratch.unlink()
        return path.read_text(encoding="ascii").strip().encode()
    except OSError as error:
        raise DataError(
            f"the database's secret cannot be kept: {error.strerror}",
            where=str(path),
            remedy="make the folder writable, or set TRICORN_DATABASE_SECRET",
        ) from error


def server_for(database_url: str | None, *, state_dir: Path) -> EmbeddedPostgres | ExternalServer:
    """The server to use: the embedded one below `state_dir`, unless `database_url` names another."""
    if database_url:
        return ExternalServer(database_url, state_dir=state_dir)
    return EmbeddedPostgres(state_dir / "postgres")
