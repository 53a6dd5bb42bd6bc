"""The demo shop: the films of MovieLens 100K with customers, stock, prices, promotions and a history of sales."""

from agora.seed.fill import fill

__all__ = ["fill"]
