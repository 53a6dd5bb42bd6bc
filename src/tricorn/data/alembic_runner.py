"""Alembic without its files: one folder of revisions, run as the schema's owner."""

from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from tricorn.data.errors import DataError


def upgrade(url: str, *, schema: str, table: str, path: Path) -> None:
    """Run what is missing, each revision in a transaction of its own, noted in `schema.table`.

    Raises:
        DataError: a revision fails; those before it stay.
    """
    script = ScriptDirectory(str(path), version_locations=[str(path)])
    engine = create_engine(URL.create("postgresql+psycopg"), poolclass=NullPool, creator=lambda: _connect(url))
    plan = script._upgrade_revs  # noqa: SLF001 - what Alembic's own upgrade command calls
    with EnvironmentContext(
        Config(), script, fn=lambda revision, _: plan("head", revision), destination_rev="head"
    ) as environment:
        try:
            with engine.connect() as connection:
                environment.configure(
                    connection=connection,
                    version_table=table,
                    version_table_schema=schema,
                    transaction_per_migration=True,
                )
                with environment.begin_transaction():
                    environment.run_migrations()
                connection.commit()
        except SQLAlchemyError as error:
            raise DataError(
                f"a migration of {schema!r} fails: {getattr(error, 'orig', None) or error}",
                where=str(path),
                remedy="mend the revision file; what ran before it is kept",
            ) from error


def _connect(url: str) -> object:
    import psycopg  # noqa: PLC0415 - only where a migration runs

    return psycopg.connect(url, connect_timeout=10)
