"""What the rivals accept, checked by pydantic."""

import hashlib
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]
DisplayName = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Registration(_Model):
    email: Email
    password: str = Field(min_length=10, max_length=128)
    display_name: DisplayName


class Login(_Model):
    email: str = Field(min_length=3, max_length=254)
    password: str = Field(min_length=1, max_length=128)


class Change(_Model):
    display_name: DisplayName


class Money(_Model):
    currency: Literal["USD"]
    minor_units: int


class WantedLine(_Model):
    product_id: UUID
    quantity: int = Field(ge=1, le=100)


class Basket(_Model):
    lines: list[WantedLine] = Field(min_length=1, max_length=50)
    coupons: list[str] = Field(default=[], max_length=5)

    @model_validator(mode="after")
    def _each_product_once(self) -> Self:
        if len({line.product_id for line in self.lines}) < len(self.lines):
            raise ValueError("each product at most once")
        return self

    @property
    def wanted(self) -> list[tuple[str, int]]:
        return [(str(line.product_id), line.quantity) for line in self.lines]

    @property
    def product_ids(self) -> list[str]:
        return [str(line.product_id) for line in self.lines]


class NewOrder(Basket):
    payment_method: Literal["test_ok", "test_declined", "test_insufficient_funds", "test_answer_lost", "test_slow"]
    expected_total: Money | None = None
    accept_current_price: bool = False

    @model_validator(mode="after")
    def _one_agreement(self) -> Self:
        if (self.expected_total is None) == (not self.accept_current_price):
            raise ValueError("exactly one of expectedTotal and acceptCurrentPrice is required")
        return self

    @property
    def fingerprint(self) -> bytes:
        """The same for the same request, however it was written."""
        return hashlib.sha256(self.model_dump_json().encode()).digest()

    @property
    def expected(self) -> int | None:
        return None if self.expected_total is None else self.expected_total.minor_units
