"""The demo shop's promotions and coupons: every kind, with and without exclusivity."""

from collections.abc import Mapping

from agora.pricing.domain.promotions import Bundle, BuyGetFree, PercentOff, ProductSet, Promotion, Threshold
from agora.seed.shop import Product, category_id, product_id

GENRE, CART = "genre", "basket"
"""Within each of these groups a unit is used by one promotion at most."""

STAR_WARS = ("50", "172", "181")
GODFATHERS = ("127", "187")
THREE_COLOURS = ("59", "60", "61")
ANIMATED = ("1", "71", "95")


def promotions(products: Mapping[str, Product]) -> list[tuple[Promotion, int, int]]:
    """All of them, each with its redemption limit and the one for a customer; zero: none. `products` is by id."""
    everything = ProductSet()

    def bundle(films: tuple[str, ...], percent: int) -> Bundle:
        ids = tuple(map(product_id, films))
        return Bundle(ids, sum(products[each].base_price for each in ids) * (100 - percent) // 100)

    free = [
        Promotion("western-days", PercentOff(_genres("Western"), 2_000), GENRE, name="Western days: 20 % off"),
        Promotion("horror-night", PercentOff(_genres("Horror"), 1_500), GENRE, name="Horror night: 15 % off"),
        Promotion("true-stories", PercentOff(_genres("Documentary"), 2_500), GENRE, name="True stories: 25 % off"),
        Promotion("family-three", BuyGetFree(_genres("Children's"), 2, 1), GENRE, name="Children's films: 3 for 2"),
        Promotion("noir-pairs", BuyGetFree(_genres("Film-Noir"), 1, 1, 2), name="Film noir: buy one, get one"),
        Promotion("star-wars", bundle(STAR_WARS, 25), name="The Star Wars trilogy"),
        Promotion("godfathers", bundle(GODFATHERS, 20), name="Both Godfathers"),
        Promotion("three-colours", bundle(THREE_COLOURS, 30), name="Three Colours"),
        Promotion("animated", bundle(ANIMATED, 20), GENRE, name="Toy Story, The Lion King and Aladdin"),
        Promotion("five-off-fifty", Threshold(everything, 5_000, amount=500), CART, name="5.00 off from 50.00"),
        Promotion(
            "tenth-off-hundred", Threshold(everything, 10_000, basis_points=1_000), CART, name="10 % off from 100.00"
        ),
    ]
    return [
        *((promotion, 0, 0) for promotion in free),
        (Promotion("welcome", PercentOff(everything, 1_000), "", "WELCOME10", "Welcome: 10 % off"), 0, 1),
        (
            Promotion(
                "film-night", Threshold(everything, 3_000, amount=750), CART, "FILMNIGHT", "Film night: 7.50 off"
            ),
            1_000,
            0,
        ),
        (
            Promotion("first-hundred", PercentOff(_genres("Sci-Fi"), 3_000), GENRE, "SCIFI30", "Sci-Fi: 30 % off"),
            100,
            1,
        ),
    ]


def _genres(*names: str) -> ProductSet:
    return ProductSet(categories=frozenset(map(category_id, names)))
