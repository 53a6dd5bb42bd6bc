"""Best prices by looking at every combination: no bounds, no components, no shared code with the search but the terms'
classes.

A combination is written the other way round: not how many units a promotion uses, but for every group and every line
what each of its units is used by. That is checked against the rules one promotion at a time.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from agora.pricing.domain.promotions import Bundle, BuyGetFree, Line, PercentOff, Promotion, Threshold
from agora.pricing.generated import Basket

_Plan = tuple[Counter[str], ...]
"""For each line (dearest first), how many units each promotion of a group uses."""


@dataclass(frozen=True, slots=True)
class Combination:
    discount: int
    decisions: tuple[int, ...]
    """As `promotions` orders them: of equal discounts the largest wins."""
    by_line: dict[str, int]
    applied: dict[str, tuple[int, int]]
    """Applications and discount of those that took something off."""
    alone: dict[str, int]
    """What each promotion would take off its units if no other group used them."""


def half_even(value: Fraction) -> int:
    return round(value)


def combinations(basket: Basket) -> Iterator[Combination]:
    lines = sorted(basket.lines, key=lambda line: (-line.unit, line.product_id))
    allowed = [p for p in basket.promotions if p.coupon_code in ("", *basket.coupon_codes)]
    keys = sorted({_group(p) for p in allowed})
    plans = [list(_plans(lines, [p for p in allowed if _group(p) == key])) for key in keys]
    by_id = {p.promotion_id: p for p in allowed}
    for combination in itertools.product(*plans):
        yield _priced(lines, by_id, combination)


def size(basket: Basket) -> int:
    """How many combinations there are at most, illegal ones included."""
    total = 1
    allowed = [p for p in basket.promotions if p.coupon_code in ("", *basket.coupon_codes)]
    for key in {_group(p) for p in allowed}:
        for line in basket.lines:
            choices = sum(1 for p in allowed if _group(p) == key and not isinstance(p.terms, PercentOff))
            total *= sum(1 for _ in itertools.combinations_with_replacement(range(choices + 1), line.quantity))
    return total


def best(found: Sequence[Combination]) -> Combination:
    return max(found, key=lambda each: (each.discount, each.decisions))


def greedy(found: Sequence[Combination]) -> Combination:
    """Takes the promotion that alone would take most off as far as it goes, then the next, and so on."""
    strongest = Counter[str]()
    for each in found:
        for promotion_id, discount in each.alone.items():
            strongest[promotion_id] = max(strongest[promotion_id], discount)
    order = sorted(strongest, key=lambda promotion_id: (-strongest[promotion_id], promotion_id))
    return max(found, key=lambda each: [each.alone.get(promotion_id, 0) for promotion_id in order])


def _group(promotion: Promotion) -> tuple[str, str]:
    return (promotion.exclusivity_group, promotion.promotion_id if promotion.exclusivity_group == "" else "")


def _in_set(promotion: Promotion, line: Line) -> bool:
    terms = promotion.terms
    if isinstance(terms, Bundle):
        return line.product_id in terms.product_ids
    wanted = terms.products
    everything = len(wanted.categories) + len(wanted.products) == 0
    return everything or line.product_id in wanted.products or any(c in wanted.categories for c in line.categories)


def _plans(lines: Sequence[Line], group: Sequence[Promotion]) -> Iterator[_Plan]:
    """Every legal way for the promotions of one group to use units; what is left goes to the best percentage."""
    choosing = [p for p in group if not isinstance(p.terms, PercentOff)]
    ways = []
    for line in lines:
        users = [p.promotion_id for p in choosing if _in_set(p, line)]
        ways.append([Counter(way) for way in itertools.combinations_with_replacement(["", *users], line.quantity)])
    for plan in itertools.product(*ways):
        if all(_legal(p, lines, [at_line[p.promotion_id] for at_line in plan]) for p in choosing):
            yield tuple(_with_percent(line, at_line, group) for line, at_line in zip(lines, plan, strict=True))


def _legal(promotion: Promotion, lines: Sequence[Line], used: Sequence[int]) -> bool:
    terms = promotion.terms
    if not any(used):
        return True
    chosen = [line for line in lines if _in_set(promotion, line)]
    if isinstance(terms, Threshold):
        enough = sum(line.unit * line.quantity for line in chosen) >= terms.minimum
        return enough and sum(used) == sum(line.quantity for line in chosen)
    if isinstance(terms, Bundle):
        times = {count for line, count in zip(lines, used, strict=True) if line in chosen}
        saves = sum(line.unit for line in chosen) > terms.price
        limited = terms.max_applications == 0 or max(times) <= terms.max_applications
        return saves and limited and len(times) == 1 and len(chosen) == len(terms.product_ids)
    assert isinstance(terms, BuyGetFree)
    runs, rest = divmod(sum(used), terms.buy + terms.free)
    return rest == 0 and (terms.max_applications == 0 or runs <= terms.max_applications)


def _with_percent(line: Line, used: Counter[str], group: Sequence[Promotion]) -> Counter[str]:
    offers = [
        (-half_even(Fraction(line.unit * p.terms.basis_points, 10_000)), p.promotion_id)
        for p in group
        if isinstance(p.terms, PercentOff) and _in_set(p, line)
    ]
    result = Counter({user: count for user, count in used.items() if user})
    if offers and used[""] and min(offers)[0] < 0:
        result[min(offers)[1]] += used[""]
    return result


def _priced(lines: Sequence[Line], by_id: dict[str, Promotion], plans: Sequence[_Plan]) -> Combination:
    benefits: list[list[list[tuple[int, str]]]] = [[[] for _ in plans] for _ in lines]
    amounts: list[list[tuple[str, int]]] = [[] for _ in lines]
    times: dict[str, int] = {}
    alone = Counter[str]()
    for number, plan in enumerate(plans):
        for promotion_id in sorted({user for at_line in plan for user in at_line}):
            used = [at_line[promotion_id] for at_line in plan]
            times[promotion_id], units, whole = _benefit(by_id[promotion_id], lines, used)
            for index in range(len(lines)):
                benefits[index][number] += [(benefit, promotion_id) for benefit in units[index]]
                if whole[index]:
                    amounts[index].append((promotion_id, whole[index]))
            alone[promotion_id] += sum(map(sum, units)) + sum(whole)
    credit = Counter[str]()
    by_line = {}
    for line, groups, off in zip(lines, benefits, amounts, strict=True):
        prices = [line.unit] * line.quantity
        for group in groups:
            prices = _lay(prices, group, credit)
        total = sum(prices)
        for promotion_id, amount in sorted(off):
            credit[promotion_id] += min(amount, total)
            total -= min(amount, total)
        by_line[line.product_id] = line.unit * line.quantity - total
    applied = {each: (times[each], taken) for each, taken in sorted(credit.items()) if taken}
    return Combination(sum(by_line.values()), _decisions(lines, by_id, plans, times), by_line, applied, dict(alone))


def _lay(prices: list[int], group: list[tuple[int, str]], credit: Counter[str]) -> list[int]:
    dearest_first = sorted(prices, reverse=True)
    largest_first = sorted(group, key=lambda each: (-each[0], each[1]))
    after = []
    for price, laid in itertools.zip_longest(dearest_first, largest_first):
        benefit, promotion_id = laid or (0, "")
        after.append(max(price - benefit, 0))
        if promotion_id:
            credit[promotion_id] += price - after[-1]
    return after


def _benefit(
    promotion: Promotion, lines: Sequence[Line], used: Sequence[int]
) -> tuple[int, list[list[int]], list[int]]:
    """Applications, the benefits of the units used on each line, the amounts off whole lines."""
    terms = promotion.terms
    nothing = [0] * len(lines)
    if isinstance(terms, PercentOff) or (isinstance(terms, Threshold) and terms.basis_points):
        units = [
            [half_even(Fraction(line.unit * terms.basis_points, 10_000))] * count
            for line, count in zip(lines, used, strict=True)
        ]
        return (sum(used) if isinstance(terms, PercentOff) else 1), units, nothing
    if isinstance(terms, Threshold):
        costs = [line.unit * count for line, count in zip(lines, used, strict=True)]
        return 1, [[] for _ in lines], _proportional(min(terms.amount, sum(costs)), costs)
    if isinstance(terms, Bundle):
        prices = [line.unit if count else 0 for line, count in zip(lines, used, strict=True)]
        shares = _proportional(sum(prices) - terms.price, prices)
        return max(used), [[part] * count for part, count in zip(shares, used, strict=True)], nothing
    positions = [index for index, count in enumerate(used) for _ in range(count)]
    period = terms.buy + terms.free
    units = [[] for _ in lines]
    for number, index in enumerate(positions):
        if number % period >= terms.buy:
            units[index].append(lines[index].unit)
    return len(positions) // period, units, nothing


def _proportional(amount: int, weights: Sequence[int]) -> list[int]:
    sums = [0, *itertools.accumulate(weights)]
    reached = [amount * part // max(sums[-1], 1) for part in sums]
    return [after - before for before, after in itertools.pairwise(reached)]


def _decisions(
    lines: Sequence[Line], by_id: dict[str, Promotion], plans: Sequence[_Plan], times: dict[str, int]
) -> tuple[int, ...]:
    fixed = [times.get(each, 0) for each in sorted(by_id) if isinstance(by_id[each].terms, Threshold | Bundle)]
    runs = sorted(
        (p for p in by_id.values() if isinstance(p.terms, BuyGetFree)), key=lambda p: (_group(p), p.promotion_id)
    )
    units = [
        sum(plan[index][run.promotion_id] for plan in plans if run.promotion_id in plan[index])
        for index in range(len(lines))
        for run in runs
    ]
    return (*fixed, *units)
