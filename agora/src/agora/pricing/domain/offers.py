"""What promotions can do to one basket: their terms made into plain numbers over its lines."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agora.pricing.domain.money import share, split
from agora.pricing.domain.promotions import Bundle, BuyGetFree, Line, PercentOff, Promotion, Threshold


@dataclass(frozen=True, slots=True)
class Percent:
    """A PercentOff on one line: what it takes off a unit."""

    promotion_id: str
    benefit: int


@dataclass(frozen=True, slots=True)
class Use:
    """One application of a fixed offer on a line: units used, taken off each, taken off the line as a whole."""

    line: int
    units: int
    benefit: int
    amount: int


@dataclass(frozen=True, slots=True)
class FixedOffer:
    """A Threshold (at most once) or a Bundle: the units of an application are given, only their number is a choice."""

    promotion_id: str
    group: tuple[str, str]
    limit: int
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class RunOffer:
    """A BuyGetFree over lines in canonical order. `max_units` is zero where its limit cannot matter."""

    promotion_id: str
    group: tuple[str, str]
    lines: tuple[int, ...]
    buy: int
    free: int
    max_units: int

    def free_units(self, before: int, units: int) -> int:
        """How many of the next `units` cost nothing when `before` were used already."""
        return self._free_of_first(before + units) - self._free_of_first(before)

    def _free_of_first(self, units: int) -> int:
        runs, rest = divmod(units, self.buy + self.free)
        return runs * self.free + max(0, rest - self.buy)


@dataclass(frozen=True, slots=True)
class LineGroup:
    """What one group can do to one line; `fixed` and `runs` are positions in the lists of `Offers`."""

    group: tuple[str, str]
    percent: Percent | None
    fixed: tuple[tuple[int, Use], ...]
    runs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Offers:
    """All choices of a basket. Lines are in canonical order, groups too."""

    lines: tuple[Line, ...]
    fixed: tuple[FixedOffer, ...]
    """By promotion id."""
    runs: tuple[RunOffer, ...]
    """By group, then promotion id."""
    groups_at: tuple[tuple[LineGroup, ...], ...]
    """For each line, those that can do something to it."""


def offers_for(lines: Sequence[Line], promotions: Sequence[Promotion], coupon_codes: Collection[str]) -> Offers:
    """The offers of those promotions that need no coupon, or one of these."""
    ordered = tuple(sorted(lines, key=lambda line: (-line.unit, line.product_id)))
    open_to_all = [p for p in promotions if not p.coupon_code or p.coupon_code in coupon_codes]
    fixed: list[FixedOffer] = []
    runs: list[RunOffer] = []
    percents: dict[tuple[tuple[str, str], int], Percent] = {}
    for promotion in sorted(open_to_all, key=lambda p: (p.group, p.promotion_id)):
        terms = promotion.terms
        if isinstance(terms, PercentOff):
            _add_percents(percents, promotion, terms, ordered)
        elif isinstance(terms, BuyGetFree):
            runs.extend(_run_offer(promotion, terms, ordered))
        elif isinstance(terms, Bundle):
            fixed.extend(_bundle_offer(promotion, terms, ordered))
        else:
            fixed.extend(_threshold_offer(promotion, terms, ordered))
    fixed.sort(key=lambda offer: offer.promotion_id)
    return Offers(ordered, tuple(fixed), tuple(runs), _groups_at(len(ordered), fixed, runs, percents))


def _add_percents(
    percents: dict[tuple[tuple[str, str], int], Percent],
    promotion: Promotion,
    terms: PercentOff,
    lines: tuple[Line, ...],
) -> None:
    """Keeps the best of a group; comes in order of promotion id, so the first of equals stays."""
    for index, line in enumerate(lines):
        if line not in terms.products:
            continue
        key = (promotion.group, index)
        benefit = share(line.unit, terms.basis_points)
        if benefit > (percents[key].benefit if key in percents else 0):
            percents[key] = Percent(promotion.promotion_id, benefit)


def _run_offer(promotion: Promotion, terms: BuyGetFree, lines: tuple[Line, ...]) -> list[RunOffer]:
    chosen = tuple(index for index, line in enumerate(lines) if line in terms.products)
    units = sum(lines[index].quantity for index in chosen)
    period = terms.buy + terms.free
    if units < period:
        return []
    max_units = terms.max_applications * period
    limit = max_units if max_units < units else 0
    return [RunOffer(promotion.promotion_id, promotion.group, chosen, terms.buy, terms.free, limit)]


def _bundle_offer(promotion: Promotion, terms: Bundle, lines: tuple[Line, ...]) -> list[FixedOffer]:
    chosen = [(index, line) for index, line in enumerate(lines) if line.product_id in terms.product_ids]
    prices = tuple(line.unit for _, line in chosen)
    saved = sum(prices) - terms.price
    if len(chosen) < len(terms.product_ids) or saved <= 0:
        return []
    limit = min(line.quantity for _, line in chosen)
    if terms.max_applications:
        limit = min(limit, terms.max_applications)
    uses = tuple(Use(index, 1, part, 0) for (index, _), part in zip(chosen, split(saved, prices), strict=True))
    return [FixedOffer(promotion.promotion_id, promotion.group, limit, uses)]


def _threshold_offer(promotion: Promotion, terms: Threshold, lines: tuple[Line, ...]) -> list[FixedOffer]:
    chosen = [(index, line) for index, line in enumerate(lines) if line in terms.products]
    subtotals = tuple(line.subtotal for _, line in chosen)
    cost = sum(subtotals)
    if cost < terms.minimum or not cost:
        return []
    amounts = split(min(terms.amount, cost), subtotals)
    uses = tuple(
        Use(index, line.quantity, share(line.unit, terms.basis_points), amount)
        for (index, line), amount in zip(chosen, amounts, strict=True)
    )
    return [FixedOffer(promotion.promotion_id, promotion.group, 1, uses)]


def _groups_at(
    count: int,
    fixed: Sequence[FixedOffer],
    runs: Sequence[RunOffer],
    percents: dict[tuple[tuple[str, str], int], Percent],
) -> tuple[tuple[LineGroup, ...], ...]:
    fixed_at: dict[tuple[tuple[str, str], int], list[tuple[int, Use]]] = {}
    runs_at: dict[tuple[tuple[str, str], int], list[int]] = {}
    for index, offer in enumerate(fixed):
        for use in offer.uses:
            fixed_at.setdefault((offer.group, use.line), []).append((index, use))
    for index, run in enumerate(runs):
        for line in run.lines:
            runs_at.setdefault((run.group, line), []).append(index)
    groups: list[list[LineGroup]] = [[] for _ in range(count)]
    for group, line in sorted(percents.keys() | fixed_at.keys() | runs_at.keys()):
        key = (group, line)
        groups[line].append(
            LineGroup(group, percents.get(key), tuple(fixed_at.get(key, ())), tuple(runs_at.get(key, ())))
        )
    return tuple(tuple(each) for each in groups)
