"""Requests made smaller."""

from typing import Any

import pytest

from tricorn.contract import service_policies
from tricorn.host import Manifest
from tricorn.prove.shrink import shrink


@pytest.fixture(scope="module")
def drawing(quiz: Manifest) -> Any:
    return service_policies("quiz.shapes.v1.ShapesService")[0].input


async def test_only_what_is_needed_stays(drawing: Any) -> None:
    large = drawing(
        flag=True,
        title="film",
        points=[{"point_id": f"point-{number}", "x": number} for number in range(20)],
        labels={number: "x" * number for number in range(10)},
        circle={"radius": 3.5, "around": [{"radius": 1}, {"radius": 2}]},
    )

    async def has_a_large_point(message: Any) -> bool:
        return any(point.x > 15 for point in message.points)

    assert await shrink(large, has_a_large_point) == drawing(points=[{"x": 16}])


async def test_names_are_shortened_everywhere_at_once(drawing: Any) -> None:
    large = drawing(points=[{"point_id": "שלום-point"}, {"point_id": "other"}], point_ids=["שלום-point", "third"])

    async def a_point_is_listed(message: Any) -> bool:
        return any(point.point_id and point.point_id in message.point_ids for point in message.points)

    small: Any = await shrink(large, a_point_is_listed)

    assert [point.point_id for point in small.points] == list(small.point_ids)
    assert len(small.point_ids) == 1
    assert len(small.point_ids[0]) == 1


async def test_entries_of_maps_and_messages_inside_go(drawing: Any) -> None:
    large = drawing(corners={"a": {"x": 5}, "b": {"x": 7, "point_id": "p"}}, wrapped={"value": 50}, digest=b"abcd")

    async def has_a_corner_seven(message: Any) -> bool:
        return any(point.x == 7 for point in message.corners.values())

    assert await shrink(large, has_a_corner_seven) == drawing(corners={"b": {"x": 7}})


async def test_floats_and_negative_numbers_come_nearer_to_zero(drawing: Any) -> None:
    async def is_far(message: Any) -> bool:
        return bool(abs(message.signed) >= 10 and abs(message.real) > 2)

    assert await shrink(drawing(signed=-4711, real=-1234.5678), is_far) == drawing(signed=10, real=-1234.0)


async def test_it_ends_after_so_many_tries(drawing: Any) -> None:
    asked = 0

    async def counted(message: Any) -> bool:
        nonlocal asked
        asked += 1
        return False

    large = drawing(points=[{"point_id": str(number), "x": number} for number in range(50)])

    assert await shrink(large, counted, tries=30) == large
    assert asked == 30
