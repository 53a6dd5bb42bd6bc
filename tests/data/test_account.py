"""As whom PostgreSQL runs when root starts it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tricorn.data.account import account_for

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root on Linux lends an account"
)

_ASKS_AS_POSTGRESQL_DOES = "import os, sys; sys.exit(not os.access(sys.argv[1], os.X_OK))"


def test_the_lent_account_finds_programs_in_a_folder_that_only_root_may_enter(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o700)
    program = shut / "initdb"
    program.touch(mode=0o755)

    account = account_for(shut / "postgres", [shut])
    asked = subprocess.run(
        [sys.executable, "-c", _ASKS_AS_POSTGRESQL_DOES, program],
        check=False,
        preexec_fn=account.prepare(die_with_parent=None),
    )

    assert account.uid != 0
    assert asked.returncode == 0
