"""Faults planted in a reference."""

import ast
from pathlib import Path

import pytest

from tricorn.contract import method_policy
from tricorn.host import Manifest
from tricorn.prove.errors import ProveError
from tricorn.prove.inputs.mix import Mix
from tricorn.prove.mutants.campaign import Campaign, Tried
from tricorn.prove.mutants.equivalent import Claim, load_claims
from tricorn.prove.mutants.operators import OPERATORS
from tricorn.prove.mutants.plant import mutants_of, planted
from tricorn.prove.mutants.trial import Asked
from tricorn.prove.reference import Answering, Request, Site, hosted

SUMS = "quiz.sums.v1.SumsService"

CASES = [
    ("boundary", "a < b", {"a <= b"}),
    ("comparison", "a < b", {"a >= b"}),
    ("comparison", "a is None", {"a is not None"}),
    ("comparison", "a in b", {"a not in b"}),
    ("arithmetic", "a + b", {"a - b"}),
    ("arithmetic", "a % b", {"a // b"}),
    ("arithmetic", "'x' + b", set()),
    ("constant", "f(7)", {"8", "6"}),
    ("constant", "f(0.5)", {"1.0"}),
    ("constant", "f(True)", {"False"}),
    ("constant", "f('text')", set()),
    ("connective", "a and b", {"a or b"}),
    ("negation", "x if a else y", {"x if not a else y"}),
    ("negation", "not a", {"a"}),
    ("negation", "[x for x in y if a]", {"if not a"}),
    ("sign", "-a", {"a"}),
    ("extreme", "min(a, b)", {"max(a, b)"}),
    ("extreme", "math.floor(a)", {"math.ceil(a)"}),
    ("order", "sorted(a)", {"sorted(a, reverse=True)"}),
    ("order", "sorted(a, key=k, reverse=True)", {"sorted(a, key=k, reverse=not True)", "sorted(a, reverse=True)"}),
    ("order", "reversed(a)", {"list(a)"}),
    ("rounding", "a // b", {"-(-a // b)"}),
    ("removal", "f(a)", {"pass"}),
    ("removal", "raise a", {"pass"}),
    ("removal", "a += b", {"pass"}),
    ("arithmetic", "a += b", {"a -= b"}),
]


def written(folder: Path, text: str) -> Path:
    path = folder / "module.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize(("operator", "code", "after"), CASES)
def test_an_operator_makes_its_changes(tmp_path: Path, operator: str, code: str, after: set[str]) -> None:
    mutants = mutants_of("module", written(tmp_path, code))

    assert {mutant.after for mutant in mutants if mutant.operator == operator} == after


@pytest.mark.parametrize(("code", "after"), [("return a < b", "return not a < b"), ("return a", "return None")])
def test_a_result_is_negated_or_nothing(tmp_path: Path, code: str, after: str) -> None:
    mutants = mutants_of("module", written(tmp_path, f"def f(a, b):\n    {code}\n"))

    assert {mutant.after for mutant in mutants if mutant.operator == "result"} == {after}


@pytest.mark.parametrize("word", ["continue", "break"])
def test_a_loop_goes_on_where_it_should_not(tmp_path: Path, word: str) -> None:
    mutants = mutants_of("module", written(tmp_path, f"for x in y:\n    {word}\n"))

    assert [(mutant.operator, mutant.before, mutant.after) for mutant in mutants] == [("removal", word, "pass")]


def test_every_operator_has_a_case() -> None:
    assert {operator for operator, _, _ in CASES} | {"result"} == set(OPERATORS)


def test_nothing_is_planted_in_annotations_texts_or_decorators(tmp_path: Path) -> None:
    text = '"""A docstring of 3."""\n@d(slots=True)\nclass A(B[1]):\n    x: Literal[2]\n    def f(self, a: C[4]) -> D[5]:\n        """6."""\n'

    assert mutants_of("module", written(tmp_path, text)) == []


def test_each_mutant_changes_one_place_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, "def f(a):\n    return a + 1 if a < 1 else a - 1\n")
    original = ast.unparse(ast.parse(path.read_text()))

    mutants = mutants_of("module", path)
    texts = [ast.unparse(planted(path, mutant.number)) for mutant in mutants]

    assert original not in texts
    assert len(set(texts)) == len({mutant.name for mutant in mutants}) == len(mutants)
    assert {mutant.line for mutant in mutants} == {2}


@pytest.fixture
def asked(quiz: Manifest, tmp_path: Path) -> list[Asked]:
    """Requests for sums, with what the reference says."""
    policy = method_policy(f"{SUMS}/Add")
    answering = Answering(hosted(Site(quiz.root, SUMS, tmp_path)))
    inputs = [input_.request for input_ in Mix([policy], {}, None, 1).generated(150)]
    inputs.append(Request(policy.full_name, policy.input(divisor=13, rounding=1).SerializeToString()))

    async def answers() -> list[Asked]:
        return [
            Asked(request, outcome)
            for request, (outcome, _) in zip(inputs, await answering.answer_all(inputs), strict=True)
        ]

    import asyncio  # noqa: PLC0415 - a fixture that is not async itself

    return asyncio.run(answers())


async def tried(
    quiz: Manifest, folder: Path, asked: list[Asked], claims: dict[str, Claim], sample: int | None
) -> Tried:
    campaign = Campaign(quiz, Site(quiz.root, SUMS, folder), asked, claims, sample=sample, seed=1, seconds=10)
    return await campaign.run()


@pytest.mark.slow
async def test_mutants_that_an_input_shows_are_killed_and_the_others_listed(
    quiz: Manifest, tmp_path: Path, asked: list[Asked]
) -> None:
    claim = Claim("quiz.sums.rules:divided: rounding: total // divisor -> -(-total // divisor)", "wrongly claimed")

    found = await tried(quiz, tmp_path, asked, {claim.mutant: claim}, None)

    verdicts = {verdict.mutant.name.partition(":")[2]: verdict.noticed for verdict in found.verdicts}
    assert verdicts["divided: rounding: total // divisor -> -(-total // divisor)"]
    assert verdicts["divided: arithmetic: -total // divisor -> -total * divisor"]
    assert verdicts["mean: arithmetic: sum(values) / len(values) -> sum(values) * len(values)"]
    assert verdicts["SumsServer.add: comparison: request.divisor == REFUSED -> request.divisor != REFUSED"]
    assert verdicts["<module>: constant: 13 -> 14"]
    assert found.killed >= 0.9 * len(found.verdicts)
    assert found.never_entered == ["server.NamesServer.reverse", "server.NamesServer.shuffle", "server.SumsServer.keep"]
    assert [verdict.mutant.name for verdict in found.false_claims] == [claim.mutant]
    said = found.found(quiz.root)
    assert (said.planted, said.killed, said.of) == (len(found.verdicts), found.killed, len(found.verdicts))
    assert len(said.survivors) == len(found.verdicts) - found.killed


@pytest.mark.slow
async def test_a_fault_that_inputs_do_not_reach_survives_and_an_endless_one_does_not(
    copy_of_quiz: Manifest, tmp_path: Path, asked: list[Asked]
) -> None:
    rules = copy_of_quiz.root / "src" / "quiz" / "sums" / "rules.py"
    rules.write_text(
        "def divided(total, divisor, up):\n"
        "    if total > 10 ** 9:\n"
        "        total = 7\n"
        "    steps = 0\n"
        "    while steps < 3:\n"
        "        steps += 1\n"
        "    return -(-total // divisor) if up else total // divisor\n"
        "def mean(values):\n"
        "    return sum(values) / len(values) if values else 0.0\n"
    )

    found = await tried(copy_of_quiz, tmp_path, asked, {}, None)

    verdicts = {verdict.mutant.name.partition(":")[2]: verdict for verdict in found.verdicts}
    assert not verdicts["divided: constant: 7 -> 8"].noticed
    assert verdicts["divided: constant: 7 -> 8"].asked == len(asked)
    assert verdicts["divided: removal: steps += 1 -> pass"].noticed
    assert verdicts["divided: arithmetic: steps += 1 -> steps -= 1"].noticed
    assert (
        "src/quiz/sums/rules.py:3: quiz.sums.rules:divided: constant: 7 -> 8"
        in found.found(copy_of_quiz.root).survivors
    )


def test_claims_need_a_reason(tmp_path: Path) -> None:
    (tmp_path / "equivalent.toml").write_text('[[equivalent]]\nmutant = "m:f: x"\nreason = " "\n')

    with pytest.raises(ProveError, match="no reason is given for 'm:f: x'"):
        load_claims(tmp_path)


def test_claims_of_another_form_are_refused_and_none_is_none(tmp_path: Path) -> None:
    assert load_claims(tmp_path) == {}
    (tmp_path / "equivalent.toml").write_text("[[equivalent]]\nmutants = 1\n")

    with pytest.raises(ProveError, match="is not of its form"):
        load_claims(tmp_path)
