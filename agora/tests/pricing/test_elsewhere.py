"""What is computed in this process, and what in another."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from agora.pricing.domain.basket import price_basket
from agora.pricing.server.prices import PricingServer
from agora_proto.pricing.v1 import pricing_pb2 as pb
from tricorn.wire import Call


class Elsewhere:
    """Does what a pool does with its work, in this process: everything crosses over as bytes."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def __call__(self, function: Callable[..., Any], *args: Any) -> Any:
        self.sent.append(function.__name__)
        function, args = pickle.loads(pickle.dumps((function, args)))  # noqa: S301 - our own bytes
        return pickle.loads(pickle.dumps(function(*args)))  # noqa: S301 - our own bytes


CALL = Call("test", None, 0.0, "", {})


def basket(lines: int, step_budget: int = 0) -> pb.PriceBasketRequest:
    """Every second and every third unit free, which compete for all of them."""
    return pb.PriceBasketRequest(
        lines=[
            pb.BasketLine(
                product=pb.PricedProduct(
                    product_id=f"film-{number:02}",
                    base_minor_units=1000 + 37 * number,
                    available=100,
                    demand_basis_points=10_000,
                ),
                quantity=3,
            )
            for number in range(lines)
        ],
        tier=pb.TIER_GOLD,
        promotions=[
            pb.Promotion(promotion_id=f"p{buy}", exclusivity_group="g", buy_get_free=pb.BuyGetFree(buy=buy, free=1))
            for buy in (1, 2, 3)
        ],
        step_budget=step_budget,
    )


@pytest.mark.parametrize(
    ("request_", "sent"),
    [
        (basket(1), []),
        (basket(12), ["price_basket"]),  # more steps than are taken here
        (basket(12, step_budget=500), []),  # the caller wants no more than are taken here
        (basket(40), ["price_basket"]),  # so many units that not even a try is made here
    ],
)
async def test_a_search_that_would_stall_this_process_runs_in_another(
    request_: pb.PriceBasketRequest, sent: list[str]
) -> None:
    elsewhere = Elsewhere()

    answer = await PricingServer(elsewhere).price_basket(request_, CALL)

    assert elsewhere.sent == sent
    assert answer == await PricingServer(_here).price_basket(request_, CALL)
    assert answer.total_minor_units < answer.subtotal_minor_units
    assert answer.steps > 500 or answer.exact or request_.step_budget


async def test_a_long_history_is_repriced_in_another_process() -> None:
    elsewhere = Elsewhere()
    point = pb.DemandPoint(price_minor_units=500, units=4)
    history = pb.DemandHistory(product_id="film", current_minor_units=500, points=[point] * 1000)
    short = pb.RepriceCatalogueRequest(histories=[history], max_change_basis_points=100, grid_steps=5)
    long = pb.RepriceCatalogueRequest(histories=[history] * 3, max_change_basis_points=100, grid_steps=5)

    answers = [await PricingServer(elsewhere).reprice_catalogue(each, CALL) for each in (short, long)]

    assert elsewhere.sent == ["reprice_all"]
    assert list(answers[1].repricings) == 3 * list(answers[0].repricings)


async def _here(function: Callable[..., Any], *args: Any) -> Any:
    assert function is price_basket
    return function(*args)
