"""Calls that a server gives up while their caller waits, without a word of a contract: what the caller is told."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from http2_server import END_HEADERS, END_STREAM, HEADERS, OK, RST_STREAM, Frame, Said, saying
from metering import SERVICE

from tricorn.contract import PlatformReason, Refusal, method_policy
from tricorn.wire import Call
from tricorn.wire.http2.hpack import literal
from tricorn.wire.remote import RemoteChannel

_CANCEL = 8


def _reset(number: int) -> Frame:
    return Frame(RST_STREAM, 0, number, _CANCEL.to_bytes(4))


def _status(number: int) -> Frame:
    return Frame(HEADERS, END_HEADERS | END_STREAM, number, OK + literal(b"grpc-status", b"1"))


@pytest.mark.parametrize("ending", [_reset, _status])
@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        pytest.param(30, PlatformReason.UNAVAILABLE, id="for no reason"),
        pytest.param(0.2, PlatformReason.DEADLINE_EXCEEDED, id="when the time is over"),
    ],
)
async def test_it_was_not_the_caller_who_gave_up(
    seconds: float,
    reason: PlatformReason,
    ending: Callable[[int], Frame],
    generated: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = f"{tmp_path_factory.mktemp('h')}/s"
    channel, policy = RemoteChannel(f"unix:{path}"), method_policy(f"{SERVICE}/Add")
    until = time.monotonic() + seconds

    async def script(said: Said) -> None:
        number = (await said.hears(HEADERS)).stream
        if reason is PlatformReason.DEADLINE_EXCEEDED:
            # The caller stands still, too, and its timer: they share a loop, which reads before it looks at the time.
            time.sleep(max(until - time.monotonic(), 0))  # noqa: ASYNC251
        said.say(ending(number))
        await said.reader.read()

    async with saying(path, script):
        with pytest.raises(Refusal) as caught:
            await channel.unary(policy, policy.input(), Call(policy.full_name, None, until))
        await channel.close()

    assert (caught.value.reason, caught.value.sent) == (reason, True)
