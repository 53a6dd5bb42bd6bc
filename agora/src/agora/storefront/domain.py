"""What a shopper is told, from what the other contexts know. Amounts are in cents of USD."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tricorn.contract import PlatformReason, Refusal, Violation


def discount_percent(base: int, final: int) -> int:
    """How many percent of the base price are saved: rounded once, half to even; negative when the price rose.

    It is not made from basis points, which are rounded already: 12.5004 % is 13, but by way of 1250 basis points it
    would be 12. The base price is at least 1.
    """
    whole, rest = divmod(100 * (base - final), base)
    twice = 2 * rest
    return whole + (twice > base or (twice == base and whole % 2 == 1))


def each_once(product_ids: Sequence[str]) -> None:
    """Makes sure that no product is named twice, also not in another spelling of its id.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    twice = [product_id for product_id, count in Counter(product_ids).items() if count > 1]
    if twice:
        raise Refusal(
            PlatformReason.INVALID_ARGUMENT,
            "each product at most once",
            violations=[Violation("lines", "lines.unique", f"{product_id} is there twice") for product_id in twice],
        )


def all_known(asked: Iterable[str], known: Iterable[str]) -> None:
    """Makes sure that every product is on sale.

    Raises:
        Refusal: NOT_FOUND, naming the first that is not.
    """
    known = set(known)
    for product_id in asked:
        if product_id not in known:
            raise Refusal(PlatformReason.NOT_FOUND, "there is no such product", metadata={"product_id": product_id})


def enough(wanted: Mapping[str, int], available: Mapping[str, int], titles: Mapping[str, str]) -> None:
    """Makes sure that there is as much of every product as is wanted.

    Raises:
        Refusal: OUT_OF_STOCK, naming the first of which there is not, and what is left of it.
    """
    for product_id, quantity in wanted.items():
        left = available.get(product_id, 0)
        if quantity > left:
            raise Refusal(
                "OUT_OF_STOCK",
                f'only {left} left of "{titles[product_id]}", {quantity} wanted',
                metadata={"product_id": product_id, "available": str(left)},
            )


def own(seller_id: str, user_id: str) -> None:
    """Makes sure that the product is this user's.

    Raises:
        Refusal: PERMISSION_DENIED.
    """
    if seller_id != user_id:
        raise Refusal(PlatformReason.PERMISSION_DENIED, "this product belongs to another seller")
