"""Takes the spans of all processes, as OTLP over HTTP, and keeps the last of them in the home for `tricorn trace`.

What is posted is written as it came, each message after its length (four bytes, big endian), so that nothing of it is read here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import secrets
from typing import TYPE_CHECKING

from tricorn.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_log = get_logger("tricorn.supervise")

RATE_VARIABLE = "TRICORN_TRACE_RATE"
RATE = "10"
FOLDER = "traces"
CURRENT, OLDER = "spans.otlp", "spans.1.otlp"
_FILE_BYTES = 8 << 20
_LONGEST_BODY = 4 << 20
_LONGEST_HEAD = 16 << 10
_IDLE_SECONDS = 300.0
_PATH = "/v1/traces"
_TOKEN_HEADER = "x-tricorn-spans"  # noqa: S105 - its name
_DELAY_MILLISECONDS = "500"
_OPERATORS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
_BAD = b"HTTP/1.1 %d Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class SpanKeeper:
    """The receiver, on a port of this machine; who posts to it must know its token."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER
        self._token = secrets.token_hex(16)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def start(self) -> Mapping[str, str]:
        """Begins to listen; the variables by which processes find it. Empty where spans go elsewhere, or nowhere."""
        rate = os.environ.get(RATE_VARIABLE, RATE)
        if any(os.environ.get(name) for name in _OPERATORS) or rate in {"", "0"}:
            return {}
        try:
            self._folder.mkdir(exist_ok=True, mode=0o700)
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LONGEST_HEAD)
        except OSError as error:
            _log.warning("traces are not kept", error=str(error))
            return {}
        port = self._server.sockets[0].getsockname()[1]
        return {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{port}{_PATH}",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"{_TOKEN_HEADER}={self._token}",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            "OTEL_BSP_SCHEDULE_DELAY": os.environ.get("OTEL_BSP_SCHEDULE_DELAY", _DELAY_MILLISECONDS),
            RATE_VARIABLE: rate,
        }

    async def stop(self) -> None:
        """Ends; what was posted is kept."""
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._connections):
            writer.close()
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while await self._take(reader, writer):
                    await writer.drain()
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether another may follow."""
        async with asyncio.timeout(_IDLE_SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        length = fields.get("content-length", "")
        refusal = (
            404
            if head[0].split(" ")[:2] != ["POST", _PATH]
            else 403
            if not hmac.compare_digest(fields.get(_TOKEN_HEADER, "").encode(), self._token.encode())
            else 411
            if not length.isdecimal()
            else 413
            if int(length[:10]) > _LONGEST_BODY
            else 415
            if fields.get("content-encoding", "identity") != "identity"
            else 0
        )
        if refusal:
            writer.write(_BAD % refusal)
            return False
        async with asyncio.timeout(_IDLE_SECONDS):
            body = await reader.readexactly(int(length))
        self._keep(body)
        writer.write(_GOOD)
        return fields.get("connection", "").lower() != "close"

    def _keep(self, body: bytes) -> None:
        path = self._folder / CURRENT
        try:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size > _FILE_BYTES:
                    path.replace(self._folder / OLDER)
            with os.fdopen(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab") as file:
                file.write(len(body).to_bytes(4, "big") + body)
        except OSError as error:
            _log.warning("spans were lost", error=str(error))
