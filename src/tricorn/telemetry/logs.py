"""Structured logs: one JSON object a line on standard error, each naming its process and its trace.

`get_logger` may be called at import time: nothing is bound until the first line is written.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import orjson
import structlog

from tricorn.telemetry.traces import NO_SPAN, current_trace

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from structlog.typing import FilteringBoundLogger, WrappedLogger

REDACTED = "[redacted]"

# A key is split at changes of case and at signs that are no letters, so `accessToken` and `access_token` are alike.
_SECRET_WORDS = frozenset(
    [
        "authorization",
        "authorisation",
        "cookie",
        "credential",
        "credentials",
        "cvc",
        "cvv",
        "dsn",
        "jwt",
        "passwd",
        "password",
        "secret",
        "secrets",
        "token",
        "tokens",
    ]
)
_SECRET_PAIRS = frozenset(
    {("api", "key"), ("private", "key"), ("signing", "key"), ("card", "number"), ("database", "url")}
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@")
_NESTING = 6

_known_keys: dict[str, bool] = {}
_KNOWN_KEYS_LIMIT = 4096


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry `logger: name`; call as `log.info("order placed", order_id=...)`."""
    return cast("FilteringBoundLogger", structlog.get_logger(logger_name=name))


def configure_logging(process: str, *, level: str = "info", file: int | None = None) -> None:
    """Send every log line of this process, the standard library's too, to standard error or descriptor `file`.

    Raises:
        ValueError: `level` is none of debug, info, warning, error, critical.
    """
    numeric = logging.getLevelNamesMapping().get(level.upper())
    if numeric is None:
        raise ValueError(f"log level {level!r} is none of debug, info, warning, error, critical")
    writer = _Writer(process, sys.stderr.fileno() if file is None else file)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, _exception_text, writer.render],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=False,
    )
    handler = _Bridge(writer)
    logging.basicConfig(handlers=[handler], level=numeric, force=True)
    logging.captureWarnings(capture=True)
    for chatty in ("asyncio", "httpx", "urllib3", "alembic.runtime.migration"):
        logging.getLogger(chatty).setLevel(max(numeric, logging.WARNING))


def is_secret(key: str) -> bool:
    """True for a key whose value must not be logged: it names a password, a token, a cookie, a key or the like."""
    known = _known_keys.get(key)
    if known is None:
        words = [word.lower() for word in _WORDS.findall(key)]
        known = not _SECRET_WORDS.isdisjoint(words) or not _SECRET_PAIRS.isdisjoint(itertools.pairwise(words))
        if len(_known_keys) < _KNOWN_KEYS_LIMIT:
            _known_keys[key] = known
    return known


def redact(value: Any, depth: int = 0) -> Any:
    """Copy `value` with secrets replaced, in nested mappings and sequences and in URLs with a password too."""
    if isinstance(value, str):
        return _URL_PASSWORD.sub(r"\1:" + REDACTED + "@", value) if "://" in value else value
    if isinstance(value, dict):
        if depth >= _NESTING:
            return "..."
        return {str(key): REDACTED if is_secret(str(key)) else redact(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth + 1) for item in value] if depth < _NESTING else "..."
    return value


def _exception_text(logger: WrappedLogger, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if event.get("exc_info"):
        return structlog.processors.format_exc_info(logger, method, event)
    return event


class _Writer:
    """Renders and writes lines. A line that cannot be written is dropped: a full disk must not fail requests."""

    def __init__(self, process: str, file: int) -> None:
        self._process = process
        self._file = file
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()

    def render(self, _logger: WrappedLogger, level: str, event: MutableMapping[str, Any]) -> str:
        line: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": "error" if level == "exception" else level,
            "event": event.pop("event", ""),
            "logger": event.pop("logger_name", ""),
            "process": self._process,
        }
        context = current_trace()
        if context is not None:
            line["trace_id"] = context.trace_id
            if context.span_id != NO_SPAN:
                line["span_id"] = context.span_id
        line["event"] = redact(line["event"])
        for key, value in event.items():
            line.setdefault(key, REDACTED if is_secret(key) else redact(value))
        return orjson.dumps(line, default=_readable, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE).decode(
            errors="replace"
        )

    def msg(self, line: str) -> None:
        # One write per line: with O_APPEND, lines of several processes do not mix.
        with self._lock:
            try:
                os.write(self._file, line.encode(errors="replace"))
            except OSError:
                return

    debug = info = warning = error = critical = exception = log = fatal = msg


def _readable(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - a log line must not raise because some repr does
        return f"<{type(value).__name__}>"


class _Bridge(logging.Handler):
    """Takes records of the standard library's loggers to the same lines."""

    _standard = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

    def __init__(self, writer: _Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: dict[str, Any] = {"event": record.getMessage(), "logger_name": record.name}
            event.update(self._extra(vars(record)))
            if record.exc_info:
                event["exception"] = logging.Formatter().formatException(record.exc_info)
            self._writer.msg(self._writer.render(None, record.levelname.lower(), event))
        except Exception:  # noqa: BLE001 - as logging itself does
            self.handleError(record)

    def _extra(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in fields.items() if key not in self._standard and not key.startswith("_")}
