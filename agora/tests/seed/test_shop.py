"""What is made of MovieLens, without a database."""

from collections import Counter
from datetime import date, timedelta

import pytest

from agora.seed import movielens
from agora.seed.plan import make
from agora.seed.promotions import promotions
from agora.seed.shop import Shop, build, product_id

TODAY = date(2026, 11, 21)


@pytest.fixture(scope="module")
def source() -> movielens.MovieLens:
    return movielens.read(movielens.locate())


@pytest.fixture(scope="module")
def shop(source: movielens.MovieLens) -> Shop:
    return build(source, TODAY)


def test_the_whole_data_set_is_read(source: movielens.MovieLens) -> None:
    assert (len(source.films), len(source.viewers), len(source.ratings)) == (1682, 943, 100_000)
    assert {rating.stars for rating in source.ratings} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("item_id", "title", "other_title", "year"),
    [
        ("1", "Toy Story", "", 1995),
        ("12", "The Usual Suspects", "", 1995),
        ("113", "The Horseman on the Roof", "Le Hussard sur le toit", 1995),
        ("177", "The Good, The Bad and The Ugly", "", 1966),
        ("267", "Unknown film", "", 0),
        ("1202", "Maybe, Maybe Not", "Der Bewegte Mann", 1994),
        ("1412", "Land Before Time III: The Time of the Great Giving", "", 1995),
        ("1535", "L'Enfer", "", 1994),
        ("1541", "The Beans of Egypt, Maine", "", 1994),
    ],
)
def test_titles_read_as_people_say_them(
    source: movielens.MovieLens, item_id: str, title: str, other_title: str, year: int
) -> None:
    (film,) = (film for film in source.films if film.item_id == item_id)

    assert (film.title, film.other_title, film.release_year) == (title, other_title, year)


def test_the_same_day_gives_the_same_shop_and_another_day_moves_only_the_dates(
    source: movielens.MovieLens, shop: Shop
) -> None:
    later = build(source, TODAY + timedelta(days=3))

    assert build(source, TODAY) == shop
    assert (later.stock, later.warehouses, later.categories) == (shop.stock, shop.warehouses, shop.categories)
    assert [each.base_price for each in later.products] == [each.base_price for each in shop.products]
    assert later.demand[0].day - shop.demand[0].day == timedelta(days=3)
    assert later.customers[7].joined_at - shop.customers[7].joined_at == timedelta(days=3)


def test_ids_never_change() -> None:
    assert product_id("1") == "509dab51-4495-516f-b28b-21d1d4eafc0e"


def test_history_ends_yesterday_and_counts_every_rating_once(shop: Shop) -> None:
    assert max(each.day for each in shop.demand) == TODAY - timedelta(days=1)
    assert sum(each.units for each in shop.demand) == 100_000
    assert len({(each.product_id, each.day) for each in shop.demand}) == len(shop.demand)


def test_a_lower_price_goes_with_more_sales(shop: Shop) -> None:
    base = {product.product_id: product.base_price for product in shop.products}
    ratios: dict[bool, list[float]] = {False: [], True: []}
    for each in shop.demand:
        ratios[each.units >= 3].append(each.price / base[each.product_id])

    assert sum(ratios[True]) / len(ratios[True]) < sum(ratios[False]) / len(ratios[False]) - 0.05


def test_stock_is_plentiful_scarce_and_sold_out(shop: Shop) -> None:
    units = Counter({product.product_id: 0 for product in shop.products})
    for each in shop.stock:
        units[each.product_id] += each.units

    assert all(each.units > 0 for each in shop.stock)
    assert sum(count == 0 for count in units.values()) in range(15, 60)
    assert sum(0 < count < 10 for count in units.values()) in range(80, 200)
    assert sum(10 <= count < 50 for count in units.values()) in range(250, 450)
    assert units[product_id("1")] >= 50


def test_every_promotion_speaks_of_films_and_genres_that_are_there(shop: Shop) -> None:
    products = {product.product_id: product for product in shop.products}
    categories = {category.category_id for category in shop.categories}
    made = [promotion for promotion, _, _ in promotions(products)]

    for promotion in made:
        terms = promotion.terms
        if hasattr(terms, "product_ids"):
            assert set(terms.product_ids) <= set(products)
        else:
            assert terms.products.categories <= categories
    assert [each.coupon_code for each in made if each.coupon_code] == ["WELCOME10", "FILMNIGHT", "SCIFI30"]


def test_the_plan_fits_the_contracts_limits(shop: Shop) -> None:
    assert all(1 <= len(each.title) <= 200 and len(each.description) <= 5000 for each in shop.products)
    assert all(1 <= len(each.category_ids) <= 10 and 499 <= each.base_price <= 2999 for each in shop.products)
    assert [part.context for part in make(TODAY)][-1] == "catalog"
