"""How the terms of promotions lie in their JSON column."""

import json
from typing import Any

from agora.pricing.domain.promotions import Bundle, BuyGetFree, PercentOff, ProductSet, Threshold

Terms = PercentOff | BuyGetFree | Bundle | Threshold


def to_json(terms: Terms) -> str:
    match terms:
        case Bundle():
            document: dict[str, Any] = {
                "kind": "bundle",
                "product_ids": list(terms.product_ids),
                "price": terms.price,
                "max_applications": terms.max_applications,
            }
        case PercentOff():
            document = {"kind": "percent_off", "basis_points": terms.basis_points}
        case BuyGetFree():
            document = {
                "kind": "buy_get_free",
                "buy": terms.buy,
                "free": terms.free,
                "max_applications": terms.max_applications,
            }
        case Threshold():
            document = {
                "kind": "threshold",
                "minimum": terms.minimum,
                "amount": terms.amount,
                "basis_points": terms.basis_points,
            }
    if not isinstance(terms, Bundle):
        document["categories"] = sorted(terms.products.categories)
        document["products"] = sorted(terms.products.products)
    return json.dumps(document)


def from_json(text: str) -> Terms:
    """Raises ValueError for a kind that is none of ours."""
    document = json.loads(text)
    kind = document.pop("kind")
    if kind == "bundle":
        return Bundle(**{**document, "product_ids": tuple(document["product_ids"])})
    products = ProductSet(frozenset(document.pop("categories", ())), frozenset(document.pop("products", ())))
    match kind:
        case "percent_off":
            return PercentOff(products, **document)
        case "buy_get_free":
            return BuyGetFree(products, **document)
        case "threshold":
            return Threshold(products, **document)
        case _:
            raise ValueError(f"a promotion has terms of the unknown kind {kind!r}")
