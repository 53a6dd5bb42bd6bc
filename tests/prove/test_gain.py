"""What is said of the time that a candidate saves."""

import re

from tricorn.prove.gain import TIMED, gain


async def test_the_slowest_inputs_are_put_to_the_candidate_and_medians_said() -> None:
    asked = []

    async def ask(each: int) -> None:
        asked.append(each)

    said = await gain([(number / 1000, number) for number in range(100)], ask)

    assert asked == list(range(100 - TIMED, 100))
    assert re.fullmatch(r"slowest 20 inputs 90 ms -> [\d.e-]+ ms", said)


async def test_of_nothing_nothing_is_said() -> None:
    async def ask(_: int) -> None:
        raise AssertionError

    assert not await gain([], ask)
