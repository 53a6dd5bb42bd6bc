"""What a reference consists of."""

import pytest

from tricorn.host import Manifest
from tricorn.prove.fingerprint import contract_fingerprint
from tricorn.prove.sources import SourceError, reference_files


def test_a_reference_is_what_implements_the_contract_with_what_it_imports(quiz: Manifest) -> None:
    assert list(reference_files(quiz, "quiz.sums.v1.SumsService")) == ["quiz.sums.rules", "quiz.sums.server"]


def test_relative_imports_and_packages_are_followed(copy_of_quiz: Manifest) -> None:
    sums = copy_of_quiz.root / "src" / "quiz" / "sums"
    (sums / "deep").mkdir()
    (sums / "deep" / "__init__.py").write_text("from .inner import VALUE\n")
    (sums / "deep" / "inner.py").write_text("from .. import unrelated\nVALUE = unrelated.ANSWER\n")
    rules = sums / "rules.py"
    rules.write_text(rules.read_text() + "\nfrom . import deep\n")

    assert list(reference_files(copy_of_quiz, "quiz.sums.v1.SumsService")) == [
        "quiz.sums.deep",
        "quiz.sums.deep.inner",
        "quiz.sums.rules",
        "quiz.sums.server",
        "quiz.sums.unrelated",
    ]


def test_a_contract_that_nothing_implements_is_named(copy_of_quiz: Manifest) -> None:
    (copy_of_quiz.root / "src" / "quiz" / "shapes" / "server.py").write_text("")

    with pytest.raises(SourceError, match=r"no class in the package quiz\.shapes extends ShapesServiceBase"):
        reference_files(copy_of_quiz, "quiz.shapes.v1.ShapesService")


def test_a_contract_of_no_context_is_named(quiz: Manifest) -> None:
    with pytest.raises(SourceError, match=r"no context of tricorn\.toml has the contract quiz\.none"):
        reference_files(quiz, "quiz.none")


def test_contracts_have_fingerprints_of_their_own(quiz: Manifest) -> None:
    sums, shapes = (contract_fingerprint(f"quiz.{name}.v1.{name.title()}Service") for name in ("sums", "shapes"))

    assert sums != shapes
    assert sums == contract_fingerprint("quiz.sums.v1.SumsService")
