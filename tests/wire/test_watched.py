"""Files that are replaced while they are watched."""

from pathlib import Path

from tricorn.wire import Binding, Bindings, BindingsFile
from tricorn.wire.bindings import dump_bindings

ONE = Bindings(1, {"a.B": Binding("a.B", {"rust": 10_000}, 1)})
TWO = Bindings(2, {"a.B": Binding("a.B", {}, 2)})


def _replace(path: Path, text: str) -> None:
    scratch = path.with_suffix(".new")
    scratch.write_text(text)
    scratch.replace(path)


def test_a_replaced_file_is_read_once(tmp_path: Path) -> None:
    file = BindingsFile(tmp_path / "bindings.json")
    _replace(file.path, dump_bindings(ONE))

    assert [file.poll(), file.poll()] == [True, False]
    assert file.current == ONE


def test_python_answers_everything_as_long_as_there_is_no_file(tmp_path: Path) -> None:
    file = BindingsFile(tmp_path / "bindings.json")

    assert not file.poll()
    assert file.current == Bindings()
    assert not file.problem


def test_rubbish_changes_nothing_and_is_named_until_it_is_mended(tmp_path: Path) -> None:
    file = BindingsFile(tmp_path / "bindings.json")
    _replace(file.path, dump_bindings(ONE))
    file.poll()

    _replace(file.path, '{"version": 1, "generation": ')
    polled = file.poll()

    assert not polled
    assert file.current == ONE
    assert file.problem.startswith("bindings.json: not JSON")
    _replace(file.path, dump_bindings(TWO))
    assert file.poll()
    assert file.current == TWO
    assert not file.problem


def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    file = BindingsFile(tmp_path / "bindings.json")
    _replace(file.path, dump_bindings(ONE))
    file.poll()

    file.path.unlink()

    assert not file.poll()
    assert file.current == ONE
    assert "cannot be read any more" in file.problem
