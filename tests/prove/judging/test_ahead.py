"""Inputs that another process draws."""

import multiprocessing
from itertools import islice
from pathlib import Path

import pytest

from tricorn.host import Manifest
from tricorn.host.targets import Target
from tricorn.prove.ahead import drawn_ahead
from tricorn.prove.errors import ProveError
from tricorn.prove.gathering import inputs_of
from tricorn.prove.inputs.mix import FOUND
from tricorn.prove.plan import Plan

SUMS = "quiz.sums.v1.SumsService"


def test_inputs_drawn_ahead_are_the_same_in_the_same_order(quiz: Manifest, tmp_path: Path) -> None:
    plan = Plan(quiz, Target(SUMS), "python", tmp_path, inputs=700, seed=3)

    with drawn_ahead(plan) as inputs:
        ahead = list(inputs.each)

    assert inputs.count == len(ahead) >= 700
    # What Hypothesis finds depends on the modules that a process has loaded, too: it tries their constants.
    here = list(inputs_of(plan).each)
    assert [input_.name for input_ in ahead] == [input_.name for input_ in here]
    assert [input_ for input_ in ahead if input_.name != FOUND][:100] == [
        input_ for input_ in here if input_.name != FOUND
    ][:100]


def test_what_cannot_be_read_is_said_as_if_it_were_read_here(quiz: Manifest, tmp_path: Path) -> None:
    plan = Plan(quiz, Target(SUMS), "python", tmp_path, inputs=10, recordings=(tmp_path / "none",))
    with pytest.raises(ProveError) as here:
        inputs_of(plan)

    with pytest.raises(ProveError) as ahead, drawn_ahead(plan):
        pass

    assert str(ahead.value) == str(here.value)


def test_a_process_that_dies_is_told_and_one_that_is_not_needed_is_ended(quiz: Manifest, tmp_path: Path) -> None:
    plan = Plan(quiz, Target(SUMS), "python", tmp_path, inputs=100_000)

    with drawn_ahead(plan) as inputs:
        first = list(islice(inputs.each, 10))
        for process in multiprocessing.active_children():
            process.kill()
        with pytest.raises(ProveError, match="the process that draws the inputs died"):
            list(inputs.each)

    assert len(first) == 10
    assert multiprocessing.active_children() == []
