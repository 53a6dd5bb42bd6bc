"""A server that somebody else runs, reached by an administrator who is not its superuser."""

import asyncio
import stat
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import pytest

from tricorn.data import (
    Clones,
    ContextMigrations,
    Database,
    DataError,
    EmbeddedPostgres,
    ExternalServer,
    drop_database,
    ensure_database,
    server_for,
)


async def test_an_administrator_without_superuser_rights_can_migrate_and_clone(
    postgres: EmbeddedPostgres, orchard: Sequence[ContextMigrations], tmp_path: Path
) -> None:
    async with Database(postgres.admin_url()) as superuser:
        await superuser.execute("create role chief login createrole createdb password 'secret'")
        await superuser.execute("create database external owner chief")
    url = postgres.url("external", "chief").replace("chief@", "chief:secret@")
    server = ExternalServer(url, state_dir=tmp_path)
    clones = Clones(server, orchard, prefix="external")

    async with (
        clones.clone() as name,
        Database(clones.url(name, "pears")) as pears,
        Database(clones.url(name, "plums")) as plums,
    ):
        await pears.execute("insert into pears (name, weight) values ('Comice', 1)")

        assert await plums.fetchval("select name from published.pear_v1") == "Comice"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await plums.fetch("select * from pears.pears")


def test_every_role_has_a_password_of_its_own_that_stays_the_same(tmp_path: Path) -> None:
    server = ExternalServer("postgresql://chief:secret@db:5432/shop?sslmode=require", state_dir=tmp_path)
    again = ExternalServer("postgresql://chief:secret@db:5432/shop", state_dir=tmp_path)

    password = server.password("shop_pears_runtime")

    assert len(password) == 64
    assert password != server.password("shop_plums_runtime")
    assert again.password("shop_pears_runtime") == password
    assert server.url("shop", "shop_pears_runtime") == (
        f"postgresql://shop_pears_runtime:{password}@db:5432/shop?sslmode=require"
    )
    assert stat.S_IMODE((tmp_path / "database.secret").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["database.secret"]


def test_machines_share_a_secret_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRICORN_DATABASE_SECRET", "shared")
    servers = [ExternalServer("postgresql://db/shop", state_dir=tmp_path / name) for name in ("one", "two")]

    assert servers[0].password("role") == servers[1].password("role")


@pytest.mark.parametrize("url", ["mysql://chief:secret@db/shop", "postgresql://chief:secret/7@db/shop"])
def test_an_address_that_cannot_be_used_is_refused_without_showing_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="DATABASE_URL") as failure:
        server_for(url, state_dir=tmp_path)

    assert "secret" not in str(failure.value)


async def test_a_server_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    server = ExternalServer("postgresql://chief:secret@127.0.0.1:1/shop", state_dir=tmp_path)

    with pytest.raises(DataError, match="cannot be reached") as failure:
        await Clones(server, [], prefix="none").template()

    assert "secret" not in str(failure.value)


def test_without_an_address_the_embedded_server_is_used(tmp_path: Path) -> None:
    assert isinstance(server_for(None, state_dir=tmp_path), EmbeddedPostgres)


async def test_a_database_is_made_once_by_however_many_and_sorts_by_code_point(postgres: EmbeddedPostgres) -> None:
    made = await asyncio.gather(*(ensure_database(postgres, "sorted") for _ in range(3)))

    assert sorted(made) == [False, False, True]
    async with Database(postgres.admin_url("sorted")) as admin:
        locale = await admin.fetchrow("select datlocprovider, datlocale from pg_database where datname = 'sorted'")
    assert locale is not None
    assert tuple(locale) == (b"b", "C.UTF-8")
    await drop_database(postgres, "sorted")
    assert await ensure_database(postgres, "sorted")
