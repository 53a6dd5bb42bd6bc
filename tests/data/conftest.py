"""A toy application of two contexts, each with a table, one with a published view."""

from pathlib import Path

import pytest

from tricorn.data import ContextMigrations

_PEARS = """
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("create table pears (id bigserial primary key, name text not null unique, weight bigint not null)")
    op.execute("create view published.pear_v1 as select id, name from pears")


def downgrade() -> None:
    op.execute("drop view published.pear_v1")
    op.execute("drop table pears")
"""
_PLUMS = """
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("create table plums (id bigserial primary key, name text not null)")


def downgrade() -> None:
    op.execute("drop table plums")
"""
_NOTES = """
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("create table notes (id bigserial primary key, text text not null)")


def downgrade() -> None:
    op.execute("drop table notes")
"""


def write_migrations(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def orchard(tmp_path_factory: pytest.TempPathFactory) -> list[ContextMigrations]:
    """The contexts `pears` and `plums`; both also get the table `notes`, as the platform's own tables are given."""
    folder = tmp_path_factory.mktemp("orchard")
    notes = write_migrations(folder / "platform", m0001_notes=_NOTES)
    pears = write_migrations(folder / "pears", m0001_pears=_PEARS)
    plums = write_migrations(folder / "plums", m0001_plums=_PLUMS)
    extra = {"tricorn_version": notes}
    return [ContextMigrations("pears", pears, extra), ContextMigrations("plums", plums, extra)]
