"""The state machine of a session's refresh tokens, as a law: whatever is done, in whatever order."""

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agora.accounts.domain import RETRY_GRACE, SESSION_LIFE, EndedBy, Session, Verdict

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Family(RuleBasedStateMachine):
    """Plays clients, honest and not, against a session; the model is a list of when each token was first used."""

    @initialize()
    def log_in(self) -> None:
        self.now = START
        self.session = Session.begin("session", "user", START)
        self.tokens = [0]
        self.first_use: dict[int, datetime] = {}
        self.ended: str = ""

    @rule(seconds=st.sampled_from([0, 1, 9, 10, 11, 60, 900, 86_400, 30 * 86_400]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(pick=st.integers(0, 10_000))
    def present(self, pick: int) -> None:
        generation = self.tokens[pick % len(self.tokens)]
        newest = max(self.tokens)
        verdict = self.session.present(generation, self.now)

        if self.ended == "reuse":
            assert verdict is Verdict.REUSED
        elif self.ended or self.now >= self.session.expire_time:
            assert verdict is Verdict.ENDED
        elif generation == newest:
            assert verdict is Verdict.ROTATE
        elif generation == newest - 1 and self.now - self.first_use[generation] <= RETRY_GRACE:
            assert verdict is Verdict.RETRY
        else:
            assert verdict is Verdict.REUSED

        if verdict is Verdict.ROTATE:
            self.first_use[generation] = self.now
            self.session = self.session.rotated(self.now)
        elif verdict is Verdict.RETRY:
            self.session = self.session.prolonged(self.now)
        if verdict in {Verdict.ROTATE, Verdict.RETRY}:
            self.tokens.append(self.session.generation)
        elif verdict is Verdict.REUSED:
            self.ended = self.ended or "reuse"
            self.session = self.session.ended(EndedBy.REUSE)

    @precondition(lambda self: not self.ended)
    @rule(by=st.sampled_from([EndedBy.LOGOUT, EndedBy.STAFF]))
    def end(self, by: EndedBy) -> None:
        self.session = self.session.ended(by)
        self.ended = by

    @invariant()
    def no_token_is_of_a_generation_to_come(self) -> None:
        assert max(self.tokens) == self.session.generation

    @invariant()
    def a_session_never_outlives_its_longest_life(self) -> None:
        assert self.session.expire_time <= START + SESSION_LIFE

    @invariant()
    def why_a_session_ended_first_stays_the_reason(self) -> None:
        assert (self.session.ended_by or "") == self.ended


Family.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestFamily = Family.TestCase


def test_the_two_answers_of_a_retried_request_are_equals() -> None:
    session = Session.begin("session", "user", START).rotated(START)
    retry = START + timedelta(seconds=3)

    assert session.present(0, retry) is Verdict.RETRY
    assert session.prolonged(retry).generation == session.generation
    after = session.prolonged(retry).rotated(retry + timedelta(minutes=15))
    assert after.present(1, retry + timedelta(minutes=16)) is Verdict.REUSED


def test_a_token_used_again_after_the_grace_ends_the_session() -> None:
    session = Session.begin("session", "user", START).rotated(START)

    assert session.present(0, START + RETRY_GRACE) is Verdict.RETRY
    assert session.present(0, START + RETRY_GRACE + timedelta(milliseconds=1)) is Verdict.REUSED
