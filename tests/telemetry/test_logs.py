from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import structlog

from tricorn.telemetry import configure_logging, continue_trace, get_logger, span
from tricorn.telemetry.logs import REDACTED, is_secret, redact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Lines:
    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self._path.read_bytes().splitlines()]


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    path = tmp_path / "log.jsonl"
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    configure_logging("shop", level="info", file=descriptor)
    yield Lines(path)
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    os.close(descriptor)


def test_a_line_names_time_level_event_logger_process_and_trace(lines: Lines) -> None:
    log = get_logger("agora.orders")

    with continue_trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), span("place") as inner:
        log.info("order placed", order_id="o1")

    [line] = lines.read()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "order placed",
        "logger": "agora.orders",
        "process": "shop",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": inner.context.span_id,
        "order_id": "o1",
    }


def test_a_logger_made_before_the_configuration_follows_it(tmp_path: Path) -> None:
    log = get_logger("early")
    path = tmp_path / "late.jsonl"
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    try:
        configure_logging("p", file=descriptor)
        log.warning("late")
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()
        os.close(descriptor)

    assert orjson.loads(path.read_bytes())["event"] == "late"


def test_the_standard_library_writes_the_same_lines(lines: Lines) -> None:
    logging.getLogger("uvicorn.error").warning("slow %s", "client", extra={"port": 80})

    [line] = lines.read()
    assert (line["event"], line["logger"], line["level"], line["port"]) == (
        "slow client",
        "uvicorn.error",
        "warning",
        80,
    )


def test_an_exception_is_written_with_its_traceback(lines: Lines) -> None:
    try:
        int("torn")
    except ValueError:
        get_logger("x").exception("failed")

    [line] = lines.read()
    assert line["level"] == "error"
    assert "ValueError: invalid literal" in line["exception"]


def test_lines_below_the_level_are_not_written(lines: Lines) -> None:
    get_logger("x").debug("noise")

    assert lines.read() == []


def test_secrets_are_redacted_wherever_they_stand(lines: Lines) -> None:
    get_logger("x").info(
        "connected to postgresql://agora:hunter2@db/agora",
        password="hunter2",
        headers={"Authorization": "Bearer hunter2", "accept": "*/*"},
        attempts=[{"refreshToken": "hunter2"}],
        dsn="hunter2",
    )

    [line] = lines.read()
    assert "hunter2" not in orjson.dumps(line).decode()
    assert line["headers"] == {"Authorization": REDACTED, "accept": "*/*"}


@pytest.mark.parametrize("key", ["password", "accessToken", "API_KEY", "private-key", "DATABASE_URL", "Set-Cookie"])
def test_a_key_that_names_a_secret_is_known(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize("key", ["page", "tokenizer", "key", "user_id", "idempotency_key", "secretary"])
def test_a_harmless_key_is_left_alone(key: str) -> None:
    assert not is_secret(key)


def test_a_structure_that_contains_itself_is_cut_off() -> None:
    loop: dict[str, object] = {}
    loop["again"] = loop

    assert "..." in str(redact(loop))


def test_a_log_that_cannot_be_written_does_not_stop_the_work() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        configure_logging("p", file=writer)
        get_logger("x").info("nobody reads this")
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()
        os.close(writer)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="'loud' is none of"):
        configure_logging("p", level="loud")
