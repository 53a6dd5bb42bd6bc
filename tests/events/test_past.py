"""What a tail remembers of the log that it follows."""

from collections.abc import Iterable

from tricorn.events.past import MOST_HOLES, Past

LATE = 60.0


def _saw(past: Past, now: float, positions: Iterable[int]) -> list[int]:
    fresh = [position for position in positions if past.add(position, now)]
    past.forget(now)
    return fresh


def test_what_was_seen_is_not_asked_for_again() -> None:
    past = Past(10, LATE)

    fresh = _saw(past, 0.0, [11, 12, 13, 12])

    assert fresh == [11, 12, 13]
    assert past.unseen() == (13, [])


def test_a_hole_is_asked_for_until_it_is_filled_or_no_transaction_can_fill_it() -> None:
    past = Past(0, LATE)
    _saw(past, 0.0, [1, 4])

    opened = past.unseen()
    fresh = _saw(past, 1.0, [2])
    left = past.unseen()
    _saw(past, LATE + 0.5, [])
    closed = past.unseen()

    assert opened == (4, [2, 3])
    assert fresh == [2]
    assert left == (4, [3])
    assert closed == (4, [])


def test_with_too_many_holes_all_is_read_again_for_as_long_as_they_may_be_filled() -> None:
    past = Past(0, LATE)
    _saw(past, 0.0, [1, 2 + 2 * MOST_HOLES])

    _saw(past, LATE - 1, [1, 2 + 2 * MOST_HOLES])
    crowded = past.unseen()
    fresh = _saw(past, LATE + 1, [1, 5, 2 + 2 * MOST_HOLES])  # committed in its last moment

    assert crowded == (0, [])
    assert fresh == [5]
    assert past.unseen() == (2 + 2 * MOST_HOLES, [])
