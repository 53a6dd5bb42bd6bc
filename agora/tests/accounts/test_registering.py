"""Registering, and what a user may read and change."""

import asyncio
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from agora_proto.accounts.v1 import accounts_pb2 as pb
from agora_proto.accounts.v1.events_pb2 import UserRegistered, UserUpdated
from tricorn.contract import Refusal, encode_page_token, query_fingerprint

ANN = "0190a000-0000-7000-8000-00000000000a"
SAM = "0190a000-0000-7000-8000-00000000000b"
NOBODY = "0190a000-0000-7000-8000-0000000000ff"


def registration(**changed: Any) -> pb.RegisterRequest:
    said = {"email": "Bea@Example.com", "password": "a sound passphrase", "display_name": "  Bea   B. "} | changed
    return pb.RegisterRequest(**said)


async def test_who_registers_is_a_user_without_roles_and_can_log_in(shop: Any) -> None:
    user = await shop.client().register(registration())

    assert (user.email, user.display_name, list(user.roles), user.etag) == ("Bea@Example.com", "Bea B.", [], "1")
    assert (await shop.login("bea@example.COM", "a sound passphrase")).expires_in == 900
    published = [UserRegistered.FromString(data) for data in await shop.events("agora.accounts.v1.UserRegistered")]
    assert [(event.user_id, event.display_name) for event in published] == [(user.user_id, "Bea B.")]


async def test_an_email_is_taken_in_every_case(shop: Any) -> None:
    with pytest.raises(Refusal, match="EMAIL_TAKEN"):
        await shop.client().register(registration(email="ANN@EXAMPLE.COM"))


async def test_of_registrations_of_one_email_at_once_one_succeeds(shop: Any) -> None:
    emails = ["bea@example.com", "Bea@example.com", "BEA@example.com", "bea@Example.com"]
    requests = [shop.client().register(registration(email=email)) for email in emails]

    answers = await asyncio.gather(*requests, return_exceptions=True)

    assert sorted(type(answer).__name__ for answer in answers) == ["Refusal", "Refusal", "Refusal", "User"]
    assert {answer.reason for answer in answers if isinstance(answer, Refusal)} == {"EMAIL_TAKEN"}
    assert len(await shop.events("agora.accounts.v1.UserRegistered")) == 1


@pytest.mark.parametrize(
    ("changed", "field", "rule"),
    [
        ({"password": "short"}, "password", "string.min_len"),
        ({"password": "1234567890"}, "password", "password.numeric"),
        ({"password": "ababababab"}, "password", "password.monotonous"),
        ({"password": "my bea@example.com"}, "password", "password.personal"),
        ({"password": "qwertyuiop"}, "password", "password.common"),
        ({"password": "nul\x00 is no character"}, "password", "password.nul"),
        ({"email": "nobody"}, "email", "string.email"),
        ({"display_name": " \u2003 "}, "display_name", "display_name.blank"),
        ({"display_name": "a\nb"}, "display_name", "string.pattern"),
    ],
)
async def test_a_registration_that_breaks_a_rule_says_which(
    shop: Any, changed: dict[str, str], field: str, rule: str
) -> None:
    with pytest.raises(Refusal, match="INVALID_ARGUMENT") as caught:
        await shop.client().register(registration(**changed))

    assert [(each.field, each.rule) for each in caught.value.violations] == [(field, rule)]
    assert await shop.events("agora.accounts.v1.UserRegistered") == []


async def test_a_user_reads_all_of_themselves_and_a_part_of_others(shop: Any) -> None:
    client = shop.client(ANN)

    me = await client.get_me(pb.GetMeRequest())
    other = await client.get_user(pb.GetUserRequest(user_id=SAM))

    assert (me.user_id, me.email, me.display_name, me.etag) == (ANN, "Ann@example.com", "Ann", "1")
    assert (other.user_id, other.display_name, other.HasField("create_time")) == (SAM, "Sam Staff", True)


async def test_who_is_not_there_is_not_found_and_cannot_be_oneself(shop: Any) -> None:
    with pytest.raises(Refusal, match="NOT_FOUND"):
        await shop.client(ANN).get_user(pb.GetUserRequest(user_id=NOBODY))
    with pytest.raises(Refusal, match="UNAUTHENTICATED"):
        await shop.client(NOBODY).get_me(pb.GetMeRequest())


async def test_a_changed_name_is_a_new_version_and_an_event(shop: Any) -> None:
    request = pb.UpdateMeRequest(user=pb.UserChange(display_name="Anna"), etag="1")

    changed = await shop.client(ANN).update_me(request)

    assert (changed.display_name, changed.etag) == ("Anna", "2")
    assert changed == await shop.client(ANN).get_me(pb.GetMeRequest())
    published = [UserUpdated.FromString(data) for data in await shop.events("agora.accounts.v1.UserUpdated")]
    assert [(event.user_id, event.display_name, list(event.roles)) for event in published] == [(ANN, "Anna", [])]


async def test_whose_token_knows_not_of_all_their_roles_keeps_them_in_what_is_published(shop: Any) -> None:
    changed = await shop.client(SAM).update_me(pb.UpdateMeRequest(user=pb.UserChange(display_name="Sam"), etag="1"))

    assert (changed.display_name, changed.roles, changed.etag) == ("Sam", ["staff"], "2")
    assert changed == await shop.client(SAM, "staff").get_me(pb.GetMeRequest())
    (event,) = await shop.events("agora.accounts.v1.UserUpdated")
    assert UserUpdated.FromString(event).roles == ["staff"]


async def test_a_change_on_an_older_version_is_refused(shop: Any) -> None:
    request = pb.UpdateMeRequest(user=pb.UserChange(display_name="Anna"), etag="7")

    with pytest.raises(Refusal, match="PRECONDITION_FAILED"):
        await shop.client(ANN).update_me(request)

    assert (await shop.client(ANN).get_me(pb.GetMeRequest())).display_name == "Ann"


async def test_of_changes_on_the_same_version_at_once_one_is_made(shop: Any) -> None:
    requests = [pb.UpdateMeRequest(user=pb.UserChange(display_name=f"Ann {n}"), etag="1") for n in range(5)]

    answers = await asyncio.gather(*map(shop.client(ANN).update_me, requests), return_exceptions=True)

    assert sum(isinstance(answer, pb.User) for answer in answers) == 1
    assert {answer.reason for answer in answers if isinstance(answer, Refusal)} == {"PRECONDITION_FAILED"}


async def test_a_change_that_changes_nothing_is_no_version_and_no_event(shop: Any) -> None:
    same = await shop.client(ANN).update_me(pb.UpdateMeRequest(user=pb.UserChange(display_name=" Ann ")))
    nothing = await shop.client(ANN).update_me(pb.UpdateMeRequest(user=pb.UserChange()))

    assert (same.etag, nothing.etag) == ("1", "1")
    assert await shop.events("agora.accounts.v1.UserUpdated") == []


async def test_a_mask_that_names_a_field_which_is_not_set_would_clear_it_and_is_refused(shop: Any) -> None:
    request = pb.UpdateMeRequest(user=pb.UserChange(), update_mask=FieldMask(paths=["display_name"]))

    with pytest.raises(Refusal, match="INVALID_ARGUMENT") as caught:
        await shop.client(ANN).update_me(request)

    assert [violation.field for violation in caught.value.violations] == ["user.display_name"]


async def test_staff_list_users_page_by_page_in_order_of_email(shop: Any) -> None:
    names = [f"user{number:02}@example.com" for number in range(7)]
    await shop.app.admin.executemany(
        "INSERT INTO accounts.users (user_id, email, display_name) VALUES (gen_random_uuid(), $1, 'U')",
        [(name,) for name in names],
    )
    client, token, seen = shop.client(SAM, "staff"), "", []

    while True:
        page = await client.list_users(pb.ListUsersRequest(page_size=4, page_token=token))
        seen += [user.email for user in page.users]
        token = page.next_page_token
        if not token:
            break
        await shop.app.admin.execute(
            "INSERT INTO accounts.users (user_id, email, display_name) VALUES (gen_random_uuid(), $1, 'early')",
            f"a{len(seen)}@example.com",
        )

    assert seen == ["Ann@example.com", "sam@example.com", *names]


async def test_users_are_found_by_the_beginning_of_email_or_name_in_any_case(shop: Any) -> None:
    client = shop.client(SAM, "staff")

    async def found(query: str) -> list[str]:
        return [user.user_id for user in (await client.list_users(pb.ListUsersRequest(query=query))).users]

    assert await found("ANN@") == [ANN]
    assert await found("sam s") == [SAM]
    assert await found("%") == []


async def test_a_page_token_is_good_for_its_own_query_only(shop: Any) -> None:
    client = shop.client(SAM, "staff")
    token = (await client.list_users(pb.ListUsersRequest(page_size=1))).next_page_token

    with pytest.raises(Refusal, match="PAGE_TOKEN_INVALID"):
        await client.list_users(pb.ListUsersRequest(page_size=1, page_token=token, query="s"))


@pytest.mark.parametrize("position", [["\x00"], [1], ["a", "b"]])
async def test_a_page_token_that_was_made_up_is_refused(shop: Any, position: list[Any]) -> None:
    request = pb.ListUsersRequest()
    request.page_token = encode_page_token(query_fingerprint(request), position)

    with pytest.raises(Refusal, match="PAGE_TOKEN_INVALID"):
        await shop.client(SAM, "staff").list_users(request)
