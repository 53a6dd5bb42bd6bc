"""What promotions take off a line once it is decided which units each of them uses: stacking and attribution."""

from collections.abc import Mapping, Sequence

from agora.pricing.domain.offers import LineGroup, Offers


def settle(
    offers: Offers, line: int, applications: Sequence[int], used: Mapping[int, tuple[int, int]]
) -> dict[str, int]:
    """What each promotion takes off a line, by promotion id.

    `applications` holds one number for each of `offers.fixed`; `used` the units and the free units among them for each
    of `offers.runs` that uses some of this line.
    """
    unit, quantity = offers.lines[line].unit, offers.lines[line].quantity
    left = [(unit, quantity)]
    credits_: dict[str, int] = {}
    amounts: list[tuple[str, int]] = []
    for group in offers.groups_at[line]:
        left = _laid(left, _benefits(offers, line, group, applications, used), credits_)
        amounts.extend(
            (offers.fixed[index].promotion_id, use.amount)
            for index, use in group.fixed
            if use.amount and applications[index]
        )
    rest = sum(price * units for price, units in left)
    for promotion_id, amount in sorted(amounts):
        taken = min(amount, rest)
        rest -= taken
        credits_[promotion_id] = credits_.get(promotion_id, 0) + taken
    return credits_


def _laid(
    left: list[tuple[int, int]], benefits: list[tuple[int, str, int]], credits_: dict[str, int]
) -> list[tuple[int, int]]:
    """Lays a group's benefits on a line's units, given and returned as (what is left to pay, units), dearest first."""
    after: dict[int, int] = {}
    prices = iter(left)
    price, units = next(prices)
    for benefit, promotion_id, count in benefits:
        remaining = count
        while remaining:
            if not units:
                price, units = next(prices)
            laid = min(units, remaining)
            taken = min(benefit, price)
            credits_[promotion_id] = credits_.get(promotion_id, 0) + taken * laid
            after[price - taken] = after.get(price - taken, 0) + laid
            units -= laid
            remaining -= laid
    for price, units in ((price, units), *prices):  # noqa: B020 - the rest of the one begun, then those not begun
        if units:
            after[price] = after.get(price, 0) + units
    return sorted(after.items(), reverse=True)


def room_for(offers: Offers, line: int) -> int:
    """What is left of a unit price when the PercentOffs of groups that have nothing else there are taken off."""
    certain = sum(
        group.percent.benefit
        for group in offers.groups_at[line]
        if group.percent and not group.fixed and not group.runs
    )
    return max(0, offers.lines[line].unit - certain)


def promise(offers: Offers, line: int, applications: Sequence[int], used: Mapping[int, tuple[int, int]]) -> int:
    """The sum of a line's effective benefits (see `components`): at least what `settle` takes off."""
    quantity, room = offers.lines[line].quantity, room_for(offers, line)
    promised = quantity * (offers.lines[line].unit - room)
    for group in offers.groups_at[line]:
        if not group.fixed and not group.runs:
            continue
        if group.percent:
            promised += min(group.percent.benefit, room) * (quantity - _units_used(group, applications, used))
        for index, use in group.fixed:
            promised += applications[index] * use.units * min(use.benefit, room)
            promised += applications[index] * min(use.amount, quantity * room)
        promised += sum(used[index][1] for index in group.runs if index in used) * room
    return promised


def percent_units(
    offers: Offers, line: int, applications: Sequence[int], used: Mapping[int, tuple[int, int]]
) -> dict[str, int]:
    """How many units of a line each PercentOff uses: those that nothing else of its group does."""
    quantity = offers.lines[line].quantity
    return {
        group.percent.promotion_id: rest
        for group in offers.groups_at[line]
        if group.percent and (rest := quantity - _units_used(group, applications, used))
    }


def _units_used(group: LineGroup, applications: Sequence[int], used: Mapping[int, tuple[int, int]]) -> int:
    by_fixed = sum(use.units * applications[index] for index, use in group.fixed)
    return by_fixed + sum(used[index][0] for index in group.runs if index in used)


def _benefits(
    offers: Offers,
    line: int,
    group: LineGroup,
    applications: Sequence[int],
    used: Mapping[int, tuple[int, int]],
) -> list[tuple[int, str, int]]:
    """(benefit of a unit, promotion id, units) of one group, in the order in which they are laid."""
    unit, quantity = offers.lines[line].unit, offers.lines[line].quantity
    benefits = [
        (use.benefit, offers.fixed[index].promotion_id, use.units * applications[index])
        for index, use in group.fixed
        if applications[index]
    ]
    benefits.extend((unit, offers.runs[index].promotion_id, used[index][1]) for index in group.runs if index in used)
    if group.percent:
        rest = quantity - _units_used(group, applications, used)
        benefits.append((group.percent.benefit, group.percent.promotion_id, rest))
    return sorted(benefits, key=lambda each: (-each[0], each[1]))
