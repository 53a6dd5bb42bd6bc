"""Bytes that are no message: the caller's fault, and told so."""

import grpc
import pytest
from metering import SERVICE
from sides import Served


@pytest.mark.parametrize("method", ["Read", "Watch"])
async def test_bytes_that_are_no_message_are_an_invalid_argument(method: str, native: Served) -> None:
    async with grpc.aio.insecure_channel(native.address) as channel:
        call = channel.unary_unary if method == "Read" else channel.unary_stream
        asked = call(f"/{SERVICE}/{method}")(b"\xff\xff")

        code = await asked.code()

        told = await asked.trailing_metadata()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert b"INVALID_ARGUMENT" in dict(told or ())["grpc-status-details-bin"]
    assert native.asked == []
