import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricorn.contract import Refusal, decode_page_token, encode_page_token, query_fingerprint
from tricorn.v1 import events_pb2

FINGERPRINT = b"12345678"
POSITIONS = st.lists(st.one_of(st.text(), st.integers()), max_size=4)


@given(POSITIONS)
def test_a_token_gives_its_position_back(position: list[str | int]) -> None:
    assert decode_page_token(encode_page_token(FINGERPRINT, position), FINGERPRINT) == position


def test_no_token_is_the_first_page() -> None:
    assert decode_page_token("", FINGERPRINT) is None


@given(POSITIONS)
def test_a_token_of_another_query_is_refused(position: list[str | int]) -> None:
    with pytest.raises(Refusal, match="PAGE_TOKEN_INVALID"):
        decode_page_token(encode_page_token(b"87654321", position), FINGERPRINT)


@given(st.text(min_size=1))
def test_whatever_else_is_sent_is_refused(token: str) -> None:
    with pytest.raises(Refusal, match="PAGE_TOKEN_INVALID"):
        decode_page_token(token, FINGERPRINT)


def test_a_fingerprint_tells_queries_apart_but_not_pages() -> None:
    query = events_pb2.DeliverRequest(group="a")
    other = events_pb2.DeliverRequest(group="b")

    assert query_fingerprint(query, without=()) != query_fingerprint(other, without=())
    assert query_fingerprint(query, without=("group",)) == query_fingerprint(other, without=("group",))
