"""Cuts a basket's choices into components that can be searched one by one, and puts each into plain numbers.

*Effective* benefits. On a line where a group has nothing but PercentOff, that percentage is no choice. Let `c` be the
sum of these, at most the unit price, and `room = unit price - c`: whatever the other groups, the *searched* ones, give
to a unit, more than `room` is lost. So a benefit `b` counts as `min(b, room)` in the search, an amount `a` as `min(a,
quantity x room)`.

A line is *tight* when the searched groups together could give it more than `quantity x room`, each group counted with
the most it can give: the larger of `quantity x` its largest effective unit benefit (of a PercentOff, Threshold, Bundle;
`room` for a BuyGetFree) and its largest effective amount. On other lines benefits simply add up, so what the groups do
there is independent. (With one searched group a line is never tight.)

Two offers that involve a choice (Threshold, Bundle, BuyGetFree) are *linked* if they touch the same line and belong to
the same group, or touch the same tight line. A component is a set of offers connected by links; components are taken in
the order of their first offer, where fixed offers (by promotion id) come before runs (by group, then promotion id).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agora.pricing.domain.offers import LineGroup, Offers
from agora.pricing.domain.settlement import room_for


@dataclass(frozen=True, slots=True)
class FixedMove:
    """A Threshold or Bundle: `takes` are (cell, units) of one application, `gain` what it adds to the discount.

    `gain` counts effective benefits less the percentages that its units lose by it; it may be negative.
    """

    offer: int
    limit: int
    takes: tuple[tuple[int, int], ...]
    gain: int
    unit_gains: tuple[int, ...]
    """The part of `gain` that a unit of each take brings, rounded up."""


@dataclass(frozen=True, slots=True)
class RunMove:
    """A BuyGetFree: for each of its lines the cell, the worth of a free unit and what a used one loses."""

    offer: int
    period: int
    buy: int
    max_units: int
    cells: tuple[int, ...]
    worth: tuple[int, ...]
    lost: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """One decision: how many units of a line a BuyGetFree uses."""

    run: int
    position: int
    """Which of the run's lines."""
    cell: int
    line: int
    opens: bool
    """The first slot of its line."""
    closes: bool
    last: bool
    """The run's last slot."""


@dataclass(frozen=True, slots=True)
class Component:
    offers: Offers
    units: tuple[int, ...]
    """Of each cell, which is a line as one group sees it."""
    fixed: tuple[FixedMove, ...]
    runs: tuple[RunMove, ...]
    slots: tuple[Slot, ...]
    """By line in canonical order, then by run."""
    tight: frozenset[int]
    """The tight lines among those that the component touches."""


class _Worth:
    """Effective benefits of one basket."""

    def __init__(self, offers: Offers) -> None:
        self.offers = offers
        self.room = [room_for(offers, line) for line in range(len(offers.lines))]
        self.tight = frozenset(line for line in range(len(offers.lines)) if self._is_tight(line))

    def searched(self, line: int) -> list[LineGroup]:
        return [group for group in self.offers.groups_at[line] if group.fixed or group.runs]

    def percent(self, line: int, group: LineGroup) -> int:
        return min(group.percent.benefit, self.room[line]) if group.percent else 0

    def _is_tight(self, line: int) -> bool:
        room, quantity = self.room[line], self.offers.lines[line].quantity
        most = 0
        for group in self.searched(line):
            unit = max(
                [self.percent(line, group), room if group.runs else 0]
                + [min(use.benefit, room) for _, use in group.fixed]
            )
            amount = max((min(use.amount, quantity * room) for _, use in group.fixed), default=0)
            most += max(quantity * unit, amount)
        return most > quantity * room


def components_of(offers: Offers) -> list[Component]:
    worth = _Worth(offers)
    members = _connected(offers, worth)
    return [_component(offers, worth, each) for each in members]


def _connected(offers: Offers, worth: _Worth) -> list[list[int]]:
    """Offers by component; an offer's number is its position in fixed, or in runs after the fixed ones."""
    count = len(offers.fixed) + len(offers.runs)
    parent = list(range(count))

    def root(offer: int) -> int:
        while parent[offer] != offer:
            offer = parent[offer]
        return offer

    def link(linked: Iterable[int]) -> None:
        first, *rest = sorted({root(offer) for offer in linked})
        for other in rest:
            parent[other] = first

    for line in range(len(offers.lines)):
        at_line = [_numbers(offers, group) for group in worth.searched(line)]
        for numbers in [sum(at_line, [])] if at_line and line in worth.tight else at_line:  # noqa: RUF017 - short lists
            link(numbers)
    gathered: dict[int, list[int]] = {}
    for offer in range(count):
        gathered.setdefault(root(offer), []).append(offer)
    return [gathered[first] for first in sorted(gathered)]


def _numbers(offers: Offers, group: LineGroup) -> list[int]:
    return [index for index, _ in group.fixed] + [len(offers.fixed) + index for index in group.runs]


def _component(offers: Offers, worth: _Worth, members: list[int]) -> Component:
    fixed = [index for index in members if index < len(offers.fixed)]
    runs = [index - len(offers.fixed) for index in members if index >= len(offers.fixed)]
    cell_of: dict[tuple[tuple[str, str], int], int] = {}
    units: list[int] = []
    lost: list[int] = []

    def cell(group: tuple[str, str], line: int) -> int:
        key = (group, line)
        if key not in cell_of:
            cell_of[key] = len(units)
            units.append(offers.lines[line].quantity)
            at_line = next(each for each in offers.groups_at[line] if each.group == group)
            lost.append(worth.percent(line, at_line))
        return cell_of[key]

    fixed_moves = []
    for index in fixed:
        offer = offers.fixed[index]
        takes = tuple((cell(offer.group, use.line), use.units) for use in offer.uses)
        gains = []
        for use, (at, _) in zip(offer.uses, takes, strict=True):
            room = worth.room[use.line]
            amount = min(use.amount, offers.lines[use.line].quantity * room)
            gains.append(use.units * (min(use.benefit, room) - lost[at]) + amount)
        unit_gains = tuple(-(-gain // use.units) for gain, use in zip(gains, offer.uses, strict=True))
        fixed_moves.append(FixedMove(index, offer.limit, takes, sum(gains), unit_gains))
    run_moves = []
    for index in runs:
        run = offers.runs[index]
        cells = tuple(cell(run.group, line) for line in run.lines)
        run_moves.append(
            RunMove(
                index,
                run.buy + run.free,
                run.buy,
                run.max_units,
                cells,
                tuple(worth.room[line] for line in run.lines),
                tuple(lost[at] for at in cells),
            )
        )
    lines = {line for _, line in cell_of}
    slots = _slots(offers, run_moves)
    return Component(offers, tuple(units), tuple(fixed_moves), tuple(run_moves), slots, worth.tight & lines)


def _slots(offers: Offers, runs: list[RunMove]) -> tuple[Slot, ...]:
    order = sorted(
        (line, number, position)
        for number, run in enumerate(runs)
        for position, line in enumerate(offers.runs[run.offer].lines)
    )
    return tuple(
        Slot(
            run=number,
            position=position,
            cell=runs[number].cells[position],
            line=line,
            opens=at == 0 or order[at - 1][0] != line,
            closes=at == len(order) - 1 or order[at + 1][0] != line,
            last=position == len(runs[number].cells) - 1,
        )
        for at, (line, number, position) in enumerate(order)
    )
