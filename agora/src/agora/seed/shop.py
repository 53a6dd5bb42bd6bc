"""What the demo shop consists of, as plain data: films and customers from MovieLens, everything else generated.

Prices, stock, sellers, warehouses and promotions are made up, from a fixed seed. A rating stands for a sale: the demand
history is the ratings' own days, moved so that the last of them is the day before the shop is filled.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from agora.seed.draw import between, stable_id
from agora.seed.movielens import Film, MovieLens

DAY = 86_400
UNSORTED = "Other"
DEMO_SELLER = "seller@agora.example"
SELLERS = (
    ("northlight@sellers.agora.example", "Northlight Films"),
    ("corner@sellers.agora.example", "The Corner Cinema"),
    ("harbour@sellers.agora.example", "Harbour Video"),
    ("silver@sellers.agora.example", "Silver Reel"),
    ("matinee@sellers.agora.example", "Matinee & Sons"),
)
WAREHOUSES = (("Rotterdam North", "Rotterdam"), ("Memphis Hub", "Memphis"), ("Reno West", "Reno"))


@dataclass(frozen=True, slots=True)
class Category:
    category_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Person:
    user_id: str
    email: str
    display_name: str
    roles: tuple[str, ...]
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class Product:
    """`base_price` is in cents."""

    product_id: str
    seller_id: str
    title: str
    description: str
    category_ids: tuple[str, ...]
    base_price: int
    release_year: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Warehouse:
    warehouse_id: str
    name: str
    city: str


@dataclass(frozen=True, slots=True)
class Stock:
    product_id: str
    warehouse_id: str
    units: int


@dataclass(frozen=True, slots=True)
class DemandDay:
    """What one product sold on one day, and the price in cents it was sold at."""

    product_id: str
    day: date
    price: int
    units: int


@dataclass(frozen=True, slots=True)
class Shop:
    categories: tuple[Category, ...]
    sellers: tuple[Person, ...]
    customers: tuple[Person, ...]
    products: tuple[Product, ...]
    warehouses: tuple[Warehouse, ...]
    stock: tuple[Stock, ...]
    demand: tuple[DemandDay, ...]


def build(source: MovieLens, today: date) -> Shop:
    """Makes the shop as it stands on the morning of a day. The same source and day give the same shop."""
    last_day = max(rating.rated_at for rating in source.ratings) // DAY
    first_day = min(rating.rated_at for rating in source.ratings) // DAY
    opened = today - timedelta(days=last_day - first_day + 1)
    categories = _categories(source.films)
    products = tuple(_product(film, categories, opened) for film in source.films)
    return Shop(
        categories=tuple(categories.values()),
        sellers=tuple(_seller(email, name, opened) for email, name in SELLERS),
        customers=tuple(_customers(source, today, last_day)),
        products=products,
        warehouses=tuple(Warehouse(stable_id("warehouse", name), name, city) for name, city in WAREHOUSES),
        stock=tuple(stock for film in source.films for stock in _stock(film)),
        demand=tuple(_demand(source, products, today, last_day)),
    )


def product_id(item_id: str) -> str:
    """The id of the film that MovieLens calls so."""
    return stable_id("product", item_id)


def category_id(name: str) -> str:
    return stable_id("category", name)


def _categories(films: Sequence[Film]) -> dict[str, Category]:
    names = [*sorted({genre for film in films for genre in film.genres}), UNSORTED]
    return {name: Category(category_id(name), name) for name in names}


def _seller(email: str, name: str, opened: date) -> Person:
    return Person(stable_id("user", email), email, name, ("seller",), _morning(opened))


def _product(film: Film, categories: Mapping[str, Category], opened: date) -> Product:
    """Newest first is by release: the later a film came out, the later it was put on sale."""
    genres = film.genres or (UNSORTED,)
    age = timedelta(days=max(0, 2000 - film.release_year), seconds=int(film.item_id))
    return Product(
        product_id=product_id(film.item_id),
        seller_id=stable_id("user", _seller_of(film)),
        title=film.title,
        description=_description(film),
        category_ids=tuple(categories[genre].category_id for genre in genres),
        base_price=_price(film),
        release_year=film.release_year,
        created_at=_morning(opened) - age,
    )


def _seller_of(film: Film) -> str:
    """The email of whoever sells it: every sixth film, "Toy Story" among them, is the demo seller's."""
    if int(film.item_id) % 6 == 1:
        return DEMO_SELLER
    return SELLERS[between(0, len(SELLERS) - 1, "seller", film.item_id)][0]


def _description(film: Film) -> str:
    genres = [genre if genre == "Sci-Fi" else genre.lower() for genre in film.genres]
    listed = " and ".join(filter(None, (", ".join(genres[:-1]), genres[-1]))) if genres else "unsorted"
    year = f" of {film.release_year}" if film.release_year else ""
    other = f" Also known as {film.other_title}." if film.other_title else ""
    return f"{listed[0].upper()}{listed[1:]}{year}.{other}"


def _price(film: Film) -> int:
    """Between 4.99 and 29.99 in whole steps; recent films cost more."""
    newness = max(0, min(8, (film.release_year - 1958) // 5))
    return 100 * between(5 + newness, 14 + 2 * newness, "price", film.item_id) - 1


def _stock(film: Film) -> Iterator[Stock]:
    """One film in fifty is sold out, a twelfth is scarce (below 10), a fifth is getting so (below 50)."""
    lot = between(0, 99, "lot", film.item_id)
    if lot < 2:  # noqa: PLR2004 - the shares that the docstring names
        return
    low, high = (1, 9) if lot < 10 else (10, 49) if lot < 30 else (120, 900)  # noqa: PLR2004 - likewise
    left = between(low, high, "units", film.item_id)
    order = between(0, len(WAREHOUSES) - 1, "warehouse", film.item_id)
    for position in range(len(WAREHOUSES)):
        name, _ = WAREHOUSES[(order + position) % len(WAREHOUSES)]
        last = position == len(WAREHOUSES) - 1
        units = left if last else left * between(30, 80, "share", film.item_id, position) // 100
        left -= units
        if units:
            yield Stock(product_id(film.item_id), stable_id("warehouse", name), units)


def _customers(source: MovieLens, today: date, last_day: int) -> Iterator[Person]:
    joined: dict[str, int] = {}
    for rating in source.ratings:
        joined[rating.user_id] = min(joined.get(rating.user_id, rating.rated_at), rating.rated_at)
    for viewer in source.viewers:
        email = f"viewer-{viewer.user_id}@movielens.agora.example"
        before = timedelta(seconds=(last_day + 1) * DAY - joined[viewer.user_id])
        name = f"{viewer.occupation.capitalize()} {viewer.user_id}"
        yield Person(stable_id("user", email), email, name, (), _morning(today) - before)


def _demand(source: MovieLens, products: Sequence[Product], today: date, last_day: int) -> Iterator[DemandDay]:
    prices = {product.product_id: product.base_price for product in products}
    sold = Counter((rating.item_id, last_day - rating.rated_at // DAY) for rating in source.ratings)
    days = [
        today - timedelta(days=ago + 1) for ago in range(last_day + 1 - min(r.rated_at for r in source.ratings) // DAY)
    ]
    films = {film.item_id: _Habits(product_id(film.item_id), film.item_id) for film in source.films}
    for (item_id, ago), units in sold.items():
        film = films[item_id]
        yield DemandDay(film.product_id, days[ago], film.price(prices[film.product_id], ago, units), units)


class _Habits:
    """How a film's price and its sales go together."""

    def __init__(self, product_id: str, item_id: str) -> None:
        self.product_id = product_id
        self._slope = between(4, 12, "slope", item_id)
        self._noise = between(0, 2**32 - 1, "noise", item_id)

    def price(self, base: int, ago: int, units: int) -> int:
        """Within a quarter of the base price, and lower by the slope, in percent, for each unit sold after the first.

        Besides, chance moves it by up to 8 % from day to day.
        """
        chance = ((self._noise + ago) * 2_654_435_761 >> 12 & 0xFFFF) % 17 - 8
        percent = max(75, min(125, 102 - self._slope * (units - 1) + chance))
        return max(1, base * percent // 100)


def _morning(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
