"""The exact search for one component's best combination: branch and bound, depth first, with a step budget.

*Decisions*, in this order: how often each fixed offer applies (largest number first), then for each slot, line by line,
how many units its run uses (largest number first). The *bound* of a node is an upper bound of the discount that the
component's decisions add to what percentages alone give; it never rises on the way down and is exact at a leaf.

- At a fixed level: the gains of what is decided, plus what the undecided fixed offers could gain, plus for each run
  what it could gain alone, each with the units left. The second is the smaller of two: the sum of what each could gain
  alone, `max(0, gain x applications that fit)`; and over the cells `units left x the largest unit gain`
  (`FixedMove.unit_gains`, or zero) of an undecided offer there.
- A run alone is solved exactly, by dynamic programming over its lines: `rows[j][c]` is the most that it can still gain
  from its line `j` on when it has used `c` units, impossible if it cannot end on a multiple of `buy + free`. A unit
  gains its worth where it is free, less the percentage it loses. The units left are those that the fixed offers leave;
  those that other runs take are not considered. Neither is a limit of more than 64 units (which holds all the same);
  without a limit `c` counts modulo `buy + free`.
- At a slot the bound loses `rows[j][c]` and gets the gain of the decision plus `rows[j + 1][c']`.
- When a tight line is decided (its last slot; for a line without slots after the last fixed level), the bound loses the
  difference between the sum of the line's effective benefits and what `settlement.settle` says its discount is.

*Steps* measure the work. Opening a node is one; each number tried for its decision is one more, and with it as many as
the component has runs (at a fixed level) or as the line has groups (where the number decides a tight line). The steps
of a node are taken before its work is done; if the budget does not hold them all, the search ends there, with those
taken so far. The node of the last fixed decision and the root of the slots are one.

1. *Probe*, for all components first: from the root go down to the child with the highest bound, of equals the one with
   the larger number. It may end where a run cannot be completed, or with the budget. What it finds is kept if its
   discount is at least that of no decision at all (every number zero), else that is kept.
2. *Prove*, component by component: depth first. A node whose bound is not above the best is dropped before it is
   opened, where the best is one less than what the probe kept until a leaf is found: so the first leaf is at least as
   good, and among equals the first in the order of decisions. A node at a line's first slot is dropped after it is
   opened if, for the same fixed decisions, a node was opened there with the same numbers of used units of all runs
   (zero for runs that are over) and a bound at least as high.
"""

from dataclasses import dataclass, field
from typing import Any

from agora.pricing.domain.components import Component, RunMove
from agora.pricing.domain.settlement import promise, settle

_NEVER = -(1 << 60)
"""Below every sum of gains, also after gains were added to it."""

_LIMITS_BOUNDED = 64
"""Up to so many units a run's limit is considered by its bound, above it is not (but kept all the same)."""

_Rows = list[list[int]]


class BudgetSpentError(Exception):
    """More work was to be done than the budget has steps left for."""


@dataclass(slots=True)
class Steps:
    """The budget that the components of a basket share."""

    budget: int
    taken: int = 0

    def take(self, count: int = 1) -> None:
        if self.taken + count > self.budget:
            raise BudgetSpentError
        self.taken += count


@dataclass(frozen=True, slots=True)
class Decisions:
    """One combination for a component, in the order of its fixed offers and of its slots."""

    applications: tuple[int, ...]
    units: tuple[int, ...]


@dataclass(slots=True)
class _FixedNode:
    bound: int
    gained: int
    left: tuple[int, ...]
    """Units left in each cell."""
    applications: tuple[int, ...]


@dataclass(slots=True)
class _SlotNode:
    bound: int
    left: tuple[int, ...]
    used: tuple[int, ...]
    """Units that each run has used: modulo its period where it has no limit, zero when it is over."""
    here: tuple[tuple[int, int], ...]
    """Units used and free units among them, of the slots decided on the current line."""
    path: "_Path"
    """The numbers of the slots decided, the last one first."""


_Path = tuple[int, Any] | None


@dataclass(slots=True)
class Search:
    """Call `probe`, then `prove`; after either, `best` is legal and at least as good as deciding nothing."""

    component: Component
    steps: Steps
    best: Decisions = field(init=False)
    _floor: int = field(init=False)
    """Only a bound above it is worth opening."""
    _unit_gains: list[list[tuple[int, int]]] = field(init=False)
    """At each fixed level, for each cell the most that a unit of it brings to an offer yet to be decided."""
    _rows: list[_Rows] = field(init=False, default_factory=list)
    """Of each run, for the fixed decisions now in work."""
    _known_rows: dict[tuple[int, tuple[int, ...]], _Rows] = field(init=False, default_factory=dict)
    _losses: dict[tuple[int, tuple[int, ...], tuple[tuple[int, int], ...]], int] = field(
        init=False, default_factory=dict
    )
    _runs_at: dict[int, tuple[int, ...]] = field(init=False, default_factory=dict)
    """For each tight line the runs of its slots."""

    def __post_init__(self) -> None:
        component = self.component
        for line in sorted(component.tight):
            self._runs_at[line] = tuple(slot.run for slot in component.slots if slot.line == line)
        best_gains: dict[int, int] = {}
        self._unit_gains = [[]]
        for move in reversed(component.fixed):
            for (cell, _), gain in zip(move.takes, move.unit_gains, strict=True):
                best_gains[cell] = max(gain, best_gains.get(cell, 0))
            self._unit_gains.append(list(best_gains.items()))
        self._unit_gains.reverse()
        nothing = Decisions((0,) * len(component.fixed), (0,) * len(component.slots))
        self.best = nothing
        self._floor = -1 - sum(
            self._loss(line, nothing.applications, ((0, 0),) * len(runs)) for line, runs in self._runs_at.items()
        )

    def probe(self) -> None:
        node = self._root()
        while len(node.applications) < len(self.component.fixed):
            self.steps.take()
            node = max(reversed(self._fixed_children(node, _NEVER)), key=lambda child: child.bound)
        slot_node = self._slot_root(node)
        for depth in range(len(self.component.slots)):
            self.steps.take()
            children = self._slot_children(node.applications, slot_node, depth, _NEVER // 2)
            if not children:
                return
            slot_node = max(reversed(children), key=lambda child: child.bound)
        self.steps.take()
        if slot_node.bound > self._floor:
            self._floor = slot_node.bound - 1
            self.best = Decisions(node.applications, _numbers(slot_node.path))

    def prove(self) -> None:
        stack = [self._root()]
        while stack:
            node = stack.pop()
            if node.bound <= self._floor:
                continue
            if len(node.applications) == len(self.component.fixed):
                self._prove_slots(node)
                continue
            self.steps.take()
            stack.extend(self._fixed_children(node, self._floor))

    def _prove_slots(self, fixed: _FixedNode) -> None:
        slots = self.component.slots
        seen: dict[tuple[int, tuple[int, ...]], int] = {}
        stack = [(0, self._slot_root(fixed))]
        while stack:
            depth, node = stack.pop()
            if node.bound <= self._floor:
                continue
            self.steps.take()
            if depth == len(slots):
                self._floor = node.bound
                self.best = Decisions(fixed.applications, _numbers(node.path))
                continue
            if slots[depth].opens:
                key = (depth, node.used)
                if seen.get(key, _NEVER) >= node.bound:
                    continue
                seen[key] = node.bound
            children = self._slot_children(fixed.applications, node, depth, self._floor)
            stack.extend((depth + 1, child) for child in children)

    def _root(self) -> _FixedNode:
        return self._fixed_node(0, self.component.units, ())

    def _fixed_node(self, gained: int, left: tuple[int, ...], applications: tuple[int, ...]) -> _FixedNode:
        alone = 0
        for move in self.component.fixed[len(applications) :]:
            if move.gain > 0:
                alone += move.gain * min(move.limit, *(left[cell] // units for cell, units in move.takes))
        by_unit = sum(left[cell] * gain for cell, gain in self._unit_gains[len(applications)])
        bound = gained + min(alone, by_unit)
        for number in range(len(self.component.runs)):
            bound += self._rows_of(number, left)[0][0]
        return _FixedNode(bound, gained, left, applications)

    def _fixed_children(self, node: _FixedNode, floor: int) -> list[_FixedNode]:
        """By number of applications, ascending."""
        move = self.component.fixed[len(node.applications)]
        children = []
        left = list(node.left)
        most = min(move.limit, *(left[cell] // units for cell, units in move.takes))
        self.steps.take((most + 1) * (1 + len(self.component.runs)))
        for number in range(most + 1):
            if number:
                for cell, units in move.takes:
                    left[cell] -= units
            child = self._fixed_node(node.gained + number * move.gain, tuple(left), (*node.applications, number))
            if child.bound > floor:
                children.append(child)
        return children

    def _slot_root(self, fixed: _FixedNode) -> _SlotNode:
        """Takes up the tables for what the fixed offers leave, and settles the tight lines without slots."""
        self._rows = [self._rows_of(number, fixed.left) for number in range(len(self.component.runs))]
        bound = fixed.bound
        for line, runs in self._runs_at.items():
            if not runs:
                bound -= self._loss(line, fixed.applications, ())
        return _SlotNode(bound, fixed.left, (0,) * len(self.component.runs), (), None)

    def _slot_children(self, applications: tuple[int, ...], node: _SlotNode, depth: int, floor: int) -> list[_SlotNode]:
        """By number of units, ascending."""
        slot = self.component.slots[depth]
        run = self.component.runs[slot.run]
        worth, lost = run.worth[slot.position], run.lost[slot.position]
        rows, after = self._rows[slot.run][slot.position : slot.position + 2]
        used = node.used[slot.run]
        most = min(node.left[slot.cell], run.max_units - used if run.max_units else node.left[slot.cell])
        before, behind = node.used[: slot.run], node.used[slot.run + 1 :]
        settles = slot.closes and slot.line in self.component.tight
        groups = len(self.component.offers.groups_at[slot.line]) if settles else 0
        self.steps.take((most + 1) * (1 + groups))
        gain = node.bound - rows[used % len(rows)]
        free = 0
        children = []
        for number in range(most + 1):
            if number:
                gain -= lost
                if (used + number - 1) % run.period >= run.buy:
                    gain += worth
                    free += 1
            now = used + number
            bound = gain + after[now % len(after)]
            if bound <= floor:
                continue
            here = (*node.here, (number, free))
            if settles:
                bound -= self._loss(slot.line, applications, here)
                if bound <= floor:
                    continue
            left = node.left
            if number and not slot.closes:
                left = (*left[: slot.cell], left[slot.cell] - number, *left[slot.cell + 1 :])
            if slot.last:
                now = 0
            elif not run.max_units:
                now %= run.period
            all_used = (*before, now, *behind)
            children.append(_SlotNode(bound, left, all_used, () if slot.closes else here, (number, node.path)))
        return children

    def _rows_of(self, number: int, left: tuple[int, ...]) -> _Rows:
        run = self.component.runs[number]
        key = (number, tuple(left[cell] for cell in run.cells))
        rows = self._known_rows.get(key)
        if rows is None:
            rows = self._known_rows[key] = _rows_alone(run, key[1])
        return rows

    def _loss(self, line: int, applications: tuple[int, ...], here: tuple[tuple[int, int], ...]) -> int:
        """How much less a tight line's discount is than the sum of its effective benefits."""
        key = (line, applications, here)
        loss = self._losses.get(key)
        if loss is None:
            loss = self._losses[key] = self._promised(line, applications, here) - self._settled(
                line, applications, here
            )
        return loss

    def _settled(self, line: int, applications: tuple[int, ...], here: tuple[tuple[int, int], ...]) -> int:
        return sum(settle(self.component.offers, line, *self._in_basket(line, applications, here)).values())

    def _promised(self, line: int, applications: tuple[int, ...], here: tuple[tuple[int, int], ...]) -> int:
        return promise(self.component.offers, line, *self._in_basket(line, applications, here))

    def _in_basket(
        self, line: int, applications: tuple[int, ...], here: tuple[tuple[int, int], ...]
    ) -> tuple[list[int], dict[int, tuple[int, int]]]:
        """The decisions under the numbers that offers have in the basket."""
        component = self.component
        numbers = [0] * len(component.offers.fixed)
        for move, number in zip(component.fixed, applications, strict=True):
            numbers[move.offer] = number
        used = {component.runs[run].offer: each for run, each in zip(self._runs_at[line], here, strict=True)}
        return numbers, used


def _numbers(path: _Path) -> tuple[int, ...]:
    numbers = []
    while path is not None:
        number, path = path
        numbers.append(number)
    return tuple(reversed(numbers))


def _rows_alone(run: RunMove, left: tuple[int, ...]) -> _Rows:
    """For each of the run's lines and the end, the most it can gain from there on, by the units used before."""
    limited = 0 < run.max_units <= _LIMITS_BOUNDED
    size = run.max_units + 1 if limited else run.period
    after = [0 if used % run.period == 0 else _NEVER for used in range(size)]
    rows = [after]
    for position in reversed(range(len(left))):
        after = (_limited_row if limited else _row)(run, position, left[position], after)
        rows.append(after)
    rows.reverse()
    return rows


def _row(run: RunMove, position: int, units: int, after: list[int]) -> list[int]:
    """Without a limit what counts is where in a run one stands; whole runs of one line gain the same each time."""
    period = run.period
    worth, lost = run.worth[position], run.lost[position]
    whole_run = (period - run.buy) * worth - period * lost
    steps = [(worth if used >= run.buy else 0) - lost for used in range(period)]
    rows = [after]
    for _ in range(min(units, period - 1)):
        row = rows[-1]
        rows.append([max(stop, step + go) for stop, step, go in zip(after, steps, (*row[1:], row[0]), strict=True)])
    runs, rest = divmod(units, period)
    if runs == 0 or whole_run <= 0:
        return rows[-1]
    return [
        max(runs * whole_run + few, (runs - 1) * whole_run + many)
        for few, many in zip(rows[rest], rows[-1], strict=True)
    ]


def _limited_row(run: RunMove, position: int, units: int, after: list[int]) -> list[int]:
    """One more unit at a time: either the line gives no more, or one and then what one unit less can do from there."""
    worth, lost = run.worth[position], run.lost[position]
    steps = [(worth if used % run.period >= run.buy else 0) - lost for used in range(len(after) - 1)]
    row = after
    for _ in range(min(units, run.max_units)):
        row = [
            *(max(stop, step + go) for stop, step, go in zip(after, steps, row[1:], strict=False)),
            after[-1],
        ]
    return row
