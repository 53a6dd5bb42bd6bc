"""Answers of the reference that are kept."""

import os
from pathlib import Path

from tricorn.prove.cache import AnswerCache, request_hash
from tricorn.prove.outcome import ANSWERED, GONE, Outcome
from tricorn.prove.reference import Request
from tricorn.wire import Identity

ONE, OTHER = Request("a.B/C", b"one"), Request("a.B/C", b"other")
ANSWER = (Outcome(ANSWERED, "OK", b"answer"), 0.25)


def test_what_was_answered_is_known_the_next_time(tmp_path: Path) -> None:
    with AnswerCache(tmp_path, "v1") as cache:
        cache.put([ONE], [ANSWER])

    with AnswerCache(tmp_path, "v1") as cache:
        assert cache.get([ONE, OTHER]) == [ANSWER, None]


def test_another_version_of_the_sources_knows_nothing(tmp_path: Path) -> None:
    with AnswerCache(tmp_path, "v1") as cache:
        cache.put([ONE], [ANSWER])

    with AnswerCache(tmp_path, "v2") as cache:
        assert cache.get([ONE]) == [None]


def test_who_asks_and_what_is_asked_are_part_of_the_key() -> None:
    caller = Identity("u", "s", frozenset())
    requests = [ONE, OTHER, ONE._replace(method="a.B/D"), ONE._replace(caller=caller)]

    assert len({request_hash(request) for request in requests}) == 4


def test_that_nobody_was_there_is_not_kept(tmp_path: Path) -> None:
    with AnswerCache(tmp_path, "v1") as cache:
        cache.put([ONE], [(Outcome(GONE), 0.1)])

        assert cache.get([ONE]) == [None]


def test_a_file_that_is_none_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "v1.answers").write_bytes(b"rubbish" * 1000)

    with AnswerCache(tmp_path, "v1") as cache:
        cache.put([ONE], [ANSWER])

        assert cache.get([ONE]) == [ANSWER]


def test_a_full_file_takes_up_nothing_more_and_old_ones_go_first(tmp_path: Path) -> None:
    for age, version in enumerate(("newer", "older")):
        with AnswerCache(tmp_path, version) as cache:
            cache.put([ONE], [(Outcome(ANSWERED, "OK", bytes(60_000)), 0.1)])
        os.utime(tmp_path / f"{version}.answers", (1_000 - age, 1_000 - age))

    with AnswerCache(tmp_path, "v1", most_bytes=150_000) as cache:
        cache.put([ONE], [(Outcome(ANSWERED, "OK", bytes(200_000)), 0.1)])
        cache.put([OTHER], [ANSWER])
        known = cache.get([ONE, OTHER])

    assert known[0] is not None
    assert (tmp_path / "newer.answers").exists()
    assert not (tmp_path / "older.answers").exists()
