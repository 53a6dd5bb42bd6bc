"""Users that come by COPY."""

from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from agora.accounts.seed import users
from agora_proto.accounts.v1 import accounts_pb2 as pb
from tricorn.contract import Refusal

SINCE = datetime(2025, 1, 1, tzinfo=UTC)


def user_id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


async def test_seeded_users_are_there_and_only_those_with_a_password_can_log_in(shop: Any) -> None:
    customers = [
        (user_id(f"{number}"), f"user{number}@example.org", f"User {number}", (), SINCE, None) for number in range(943)
    ]
    seller = (user_id("seller"), "seller@example.org", "Seller", ("seller",), SINCE, "agora-demo")
    table, columns, rows = users([*customers, seller])

    async with shop.app.database("accounts").transaction() as connection:
        assert await connection.copy_records(table, rows, columns=columns) == 944

    user = await shop.client(user_id("7")).get_me(pb.GetMeRequest())
    assert (user.display_name, user.etag, user.create_time.ToDatetime(UTC)) == ("User 7", "1", SINCE)
    with pytest.raises(Refusal, match="BAD_CREDENTIALS"):
        await shop.login("user7@example.org", "!")
    assert (await shop.login("seller@example.org", "agora-demo")).access_token
    assert list((await shop.client(user_id("seller")).get_me(pb.GetMeRequest())).roles) == ["seller"]
