"""The cheapest legal combination of promotions for a basket; what that means is written in `promotions`, how it is
found in `search`.
"""

from collections.abc import Collection, Sequence

from agora.pricing.domain.components import components_of
from agora.pricing.domain.offers import Offers, offers_for
from agora.pricing.domain.promotions import Applied, BasketPrice, Line, Promotion
from agora.pricing.domain.search import BudgetSpentError, Search, Steps
from agora.pricing.domain.settlement import percent_units, settle
from tricorn.contract import PlatformReason, Refusal, Violation

DEFAULT_STEP_BUDGET = 50_000


def each_once(lines: Sequence[Line], promotions: Sequence[Promotion]) -> None:
    """Makes sure that no product and no promotion is named twice.

    These are no rules of the contract because such rules, evaluated as expressions, cost more than all the others of a
    request.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    broken = []
    if len({line.product_id for line in lines}) < len(lines):
        broken.append(Violation("lines", "lines.unique", "each product at most once"))
    if len({promotion.promotion_id for promotion in promotions}) < len(promotions):
        broken.append(Violation("promotions", "promotions.unique", "each promotion at most once"))
    if broken:
        detail = "; ".join(f"{violation.field}: {violation.message}" for violation in broken)
        raise Refusal(PlatformReason.INVALID_ARGUMENT, detail, violations=broken)


def price_basket(
    lines: Sequence[Line], promotions: Sequence[Promotion], coupon_codes: Collection[str] = (), step_budget: int = 0
) -> BasketPrice:
    """Prices a basket whose products and promotions each come once; a budget of zero is the default one.

    The answer does not depend on the order of lines, promotions or codes. It is never above the subtotal nor below
    zero. `exact` is false if the budget ended before it was proven that nothing is cheaper; the answer then is the
    best found.
    """
    offers = offers_for(lines, promotions, coupon_codes)
    steps = Steps(step_budget or DEFAULT_STEP_BUDGET)
    searches = [Search(component, steps) for component in components_of(offers)]
    exact = True
    try:
        for search in searches:
            search.probe()
        for search in searches:
            search.prove()
    except BudgetSpentError:
        exact = False
    return _answer(offers, lines, searches, exact, steps.taken)


def _answer(offers: Offers, lines: Sequence[Line], searches: list[Search], exact: bool, steps: int) -> BasketPrice:
    applications, used = _decided(offers, searches)
    counts = dict[str, int]()
    for number, fixed in zip(applications, offers.fixed, strict=True):
        counts[fixed.promotion_id] = number
    for index, run in enumerate(offers.runs):
        units = sum(at_line[index][0] for at_line in used if index in at_line)
        counts[run.promotion_id] = units // (run.buy + run.free)
    discounts: dict[str, int] = {}
    line_discounts: dict[str, int] = {}
    for index, line in enumerate(offers.lines):
        taken = settle(offers, index, applications, used[index])
        line_discounts[line.product_id] = sum(taken.values())
        for promotion_id, discount in taken.items():
            discounts[promotion_id] = discounts.get(promotion_id, 0) + discount
        for promotion_id, units in percent_units(offers, index, applications, used[index]).items():
            counts[promotion_id] = counts.get(promotion_id, 0) + units
    return BasketPrice(
        line_discounts=tuple(line_discounts[line.product_id] for line in lines),
        subtotal=sum(line.subtotal for line in lines),
        discount=sum(line_discounts.values()),
        exact=exact,
        steps=steps,
        applied={
            promotion_id: Applied(counts[promotion_id], discount)
            for promotion_id, discount in sorted(discounts.items())
            if discount
        },
    )


def _decided(offers: Offers, searches: list[Search]) -> tuple[list[int], list[dict[int, tuple[int, int]]]]:
    """Applications of each fixed offer; by line, for each run with units there, these and the free ones among them."""
    applications = [0] * len(offers.fixed)
    used: list[dict[int, tuple[int, int]]] = [{} for _ in offers.lines]
    before = [0] * len(offers.runs)
    for search in searches:
        component = search.component
        for move, number in zip(component.fixed, search.best.applications, strict=True):
            applications[move.offer] = number
        for slot, units in zip(component.slots, search.best.units, strict=True):
            index = component.runs[slot.run].offer
            if units:
                used[slot.line][index] = (units, offers.runs[index].free_units(before[index], units))
                before[index] += units
    return applications, used
