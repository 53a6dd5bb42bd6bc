"""Reading revision files without Alembic."""

from pathlib import Path

import pytest

from tricorn.data import DataError
from tricorn.data.revisions import fingerprint_files, read_revisions


def write(folder: Path, name: str, revision: str, before: str) -> None:
    (folder / name).write_text(
        f"revision = {revision}\ndown_revision: str | None = {before}  # why\n", encoding="utf-8"
    )


def test_the_head_is_the_revision_that_nothing_follows(tmp_path: Path) -> None:
    write(tmp_path, "b.py", '"0002"', '"0001"')
    write(tmp_path, "a.py", '"0001"', "None")
    (tmp_path / "__init__.py").write_text("", encoding="utf-8")

    files = read_revisions(tmp_path)

    assert files.head == "0002"
    assert files.revisions == {"0001", "0002"}


def test_a_merge_follows_all_its_parents(tmp_path: Path) -> None:
    write(tmp_path, "a.py", '"a"', "None")
    write(tmp_path, "b.py", '"b"', '"a"')
    write(tmp_path, "c.py", '"c"', '"a"')
    write(tmp_path, "d.py", '"d"', '("b", "c")')

    assert read_revisions(tmp_path).head == "d"


@pytest.mark.parametrize(
    ("revision", "before", "words"),
    [
        ('"0002"', "None", "several migrations claim to be the newest: 0001, 0002"),
        ('"0001"', "None", "'0001' exists twice"),
        ("make_name()", "None", "plain text"),
    ],
)
def test_a_folder_that_says_no_single_thing_is_refused(tmp_path: Path, revision: str, before: str, words: str) -> None:
    write(tmp_path, "a.py", '"0001"', "None")
    write(tmp_path, "b.py", revision, before)

    with pytest.raises(DataError, match=words):
        read_revisions(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing") as failure:
        read_revisions(tmp_path / "none")

    assert failure.value.where == str(tmp_path / "none")


def test_the_fingerprint_changes_with_a_files_content_and_with_its_name(tmp_path: Path) -> None:
    write(tmp_path, "a.py", '"a"', "None")
    prints = [fingerprint_files([tmp_path])]

    write(tmp_path, "a.py", '"b"', "None")
    prints.append(fingerprint_files([tmp_path]))
    (tmp_path / "a.py").rename(tmp_path / "c.py")
    prints.append(fingerprint_files([tmp_path]))

    assert len(set(prints)) == 3
