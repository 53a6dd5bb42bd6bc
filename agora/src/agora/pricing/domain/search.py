"""The exact search for one component's best combination: branch and bound, depth first, with a step budget.

*Decisions*, in this order: how often each fixed offer applies (largest number first), then for each slot, line by line, how many
units its run uses (largest number first). The *bound* of a node is an upper bound of the discount that the component's decisions
add to what percentages alone give; it never rises on the way down and is exact at a leaf.

- At a fixed level: the gains of what is decided, plus for each undecided fixed offer what it could gain alone with the units
  left, `max(0, gain x applications that fit)`, plus for each run what it could gain alone with the units left.
- A run alone is solved exactly, by dynamic programming over its lines: `rows[j][c]` is the most that it can still gain from its line
  `j` on when it has used `c` units (modulo `buy + free` where its limit cannot matter), impossible if it cannot end on a multiple of
  `buy + free`. A unit gains its worth where it is free, less the percentage it loses. The units left are those that the fixed
  offers leave; those that other runs take are not considered.
- At a slot the bound loses `rows[j][c]` and gets the gain of the decision plus `rows[j + 1][c']`.
- When a tight line is decided (its last slot; for a line without slots after the last fixed level), the bound loses the difference
  between the sum of the line's effective benefits and what `settlement.settle` says its discount is.

*Steps.* Each node that is opened is one step: the root, every node with a decision taken, but not both the node of the last
fixed decision and the root of the slots, which are one. The budget is that of the basket.

1. *Probe*, for all components first: from the root go down to the child with the highest bound, of equals the one with the larger
   number, every node on the way being a step. It may end where a run cannot be completed; or when the budget ends. What it finds is
   kept if its discount is at least that of no decision at all (every number zero), else that is kept.
2. *Prove*, component by component: depth first. A node whose bound is not above the best is dropped before it is opened, where the
   best is one less than what the probe kept until a leaf is found: so the first leaf is at least as good, and among equals the first
   in the order of decisions. A node at a line's first slot is dropped after it is opened if, for the same fixed decisions, a node
   was opened there with the same numbers of used units of all runs (zero for runs that are over) and a bound at least as high.
"""

from dataclasses import dataclass, field

from agora.pricing.domain.components import Component, RunMove
from agora.pricing.domain.settlement import promise, settle

_NEVER = -(1 << 60)
"""Below every sum of gains, also after gains were added to it."""

_Rows = list[list[int]]


class BudgetSpentError(Exception):
    """A node was to be opened and the budget has no step left."""


@dataclass(slots=True)
class Steps:
    """The budget that the components of a basket share."""

    budget: int
    taken: int = 0

    def take(self) -> None:
        if self.taken >= self.budget:
            raise BudgetSpentError
        self.taken += 1


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
    """Units that each run has used: modulo its period where its limit cannot matter, zero when it is over."""
    here: tuple[tuple[int, int], ...]
    """Units used and free units among them, of the slots decided on the current line."""
    units: tuple[int, ...]


@dataclass(slots=True)
class Search:
    """Call `probe`, then `prove`; after either, `best` is legal and at least as good as deciding nothing."""

    component: Component
    steps: Steps
    best: Decisions = field(init=False)
    _floor: int = field(init=False)
    """Only a bound above it is worth opening."""
    _rows: list[_Rows] = field(init=False, default_factory=list)
    """Of each run, for the fixed decisions now in work."""
    _known_rows: dict[tuple[int, tuple[int, ...]], _Rows] = field(init=False, default_factory=dict)
    _losses: dict[tuple[int, tuple[int, ...], tuple[tuple[int, int], ...]], int] = field(init=False, default_factory=dict)
    _runs_at: dict[int, tuple[int, ...]] = field(init=False, default_factory=dict)
    """For each tight line the runs of its slots."""

    def __post_init__(self) -> None:
        component = self.component
        for line in sorted(component.tight):
            self._runs_at[line] = tuple(slot.run for slot in component.slots if slot.line == line)
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
        while True:
            self.steps.take()
            if len(slot_node.units) == len(self.component.slots):
                break
            children = self._slot_children(node.applications, slot_node, _NEVER // 2)
            if not children:
                return
            slot_node = max(reversed(children), key=lambda child: child.bound)
        if slot_node.bound > self._floor:
            self._floor = slot_node.bound - 1
            self.best = Decisions(node.applications, slot_node.units)

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
        stack = [self._slot_root(fixed)]
        while stack:
            node = stack.pop()
            if node.bound <= self._floor:
                continue
            self.steps.take()
            depth = len(node.units)
            if depth == len(slots):
                self._floor = node.bound
                self.best = Decisions(fixed.applications, node.units)
                continue
            if slots[depth].opens:
                key = (depth, node.used)
                if seen.get(key, _NEVER) >= node.bound:
                    continue
                seen[key] = node.bound
            stack.extend(self._slot_children(fixed.applications, node, self._floor))

    def _root(self) -> _FixedNode:
        return self._fixed_node(0, self.component.units, ())

    def _fixed_node(self, gained: int, left: tuple[int, ...], applications: tuple[int, ...]) -> _FixedNode:
        bound = gained
        for move in self.component.fixed[len(applications) :]:
            if move.gain > 0:
                bound += move.gain * min(move.limit, *(left[cell] // units for cell, units in move.takes))
        for number in range(len(self.component.runs)):
            bound += self._rows_of(number, left)[0][0]
        return _FixedNode(bound, gained, left, applications)

    def _fixed_children(self, node: _FixedNode, floor: int) -> list[_FixedNode]:
        """By number of applications, ascending."""
        move = self.component.fixed[len(node.applications)]
        children = []
        left = list(node.left)
        most = min(move.limit, *(left[cell] // units for cell, units in move.takes))
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
        return _SlotNode(bound, fixed.left, (0,) * len(self.component.runs), (), ())

    def _slot_children(self, applications: tuple[int, ...], node: _SlotNode, floor: int) -> list[_SlotNode]:
        """By number of units, ascending."""
        slot = self.component.slots[len(node.units)]
        run = self.component.runs[slot.run]
        worth, lost = run.worth[slot.position], run.lost[slot.position]
        rows, after = self._rows[slot.run][slot.position : slot.position + 2]
        used = node.used[slot.run]
        most = node.left[slot.cell]
        if run.max_units:
            most = min(most, run.max_units - used)
        before, behind = node.used[: slot.run], node.used[slot.run + 1 :]
        settles = slot.closes and slot.line in self.component.tight
        gain = node.bound - rows[used]
        free = 0
        children = []
        for number in range(most + 1):
            if number:
                gain -= lost
                if (used + number - 1) % run.period >= run.buy:
                    gain += worth
                    free += 1
            now = used + number
            if not run.max_units:
                now %= run.period
            bound = gain + after[now]
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
            all_used = (*before, 0 if slot.last else now, *behind)
            children.append(_SlotNode(bound, left, all_used, () if slot.closes else here, (*node.units, number)))
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
            loss = self._losses[key] = self._promised(line, applications, here) - self._settled(line, applications, here)
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


def _rows_alone(run: RunMove, left: tuple[int, ...]) -> _Rows:
    """For each of the run's lines and the end, the most it can gain from there on, by the number of units used before."""
    size = run.max_units + 1 if run.max_units else run.period
    after = [0 if used % run.period == 0 else _NEVER for used in range(size)]
    rows = [after]
    for position in reversed(range(len(left))):
        after = _row(run, position, left[position], after)
        rows.append(after)
    rows.reverse()
    return rows


def _row(run: RunMove, position: int, units: int, after: list[int]) -> list[int]:
    """One more unit at a time: either the line gives no more, or one and then what one unit less can do from there."""
    size = len(after)
    steps = [(run.worth[position] if used % run.period >= run.buy else 0) - run.lost[position] for used in range(size)]
    row = after
    for _ in range(units):
        if run.max_units:
            row = [
                max(after[used], steps[used] + row[used + 1]) if used + 1 < size else after[used] for used in range(size)
            ]
        else:
            row = [max(stop, step + go) for stop, step, go in zip(after, steps, (*row[1:], row[0]), strict=True)]
    return row
