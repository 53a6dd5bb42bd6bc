"""Nobody asks for more connections than there are."""

import pytest

from tricorn.data import DataError, check_budget


def test_what_fits_is_summed() -> None:
    assert check_budget({"core": 80, "worker": 60}, limit=150, reserve=10) == 140


def test_what_does_not_fit_is_refused_with_the_largest_share_first() -> None:
    with pytest.raises(DataError, match="ask for 141 connections, and PostgreSQL has 140 to give") as failure:
        check_budget({"worker": 60, "core": 81}, limit=150, reserve=10)

    assert failure.value.where == "core 81, worker 60"
