"""How commands speak to the supervisor that runs: JSON lines over a unix socket that only its user may open.

A connection carries one request, ``{"call": NAME, "arguments": {...}}``, and its answer: ``{"answer": {...}}``, or any
number of ``{"item": {...}}`` and then ``{"end": true}``, or ``{"error": ..., "remedy": ...}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from tricorn.data.sockets import process_folder
from tricorn.supervise.errors import SuperviseError
from tricorn.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tricorn.supervise.home import Home

Handler: TypeAlias = "Callable[[dict[str, Any]], Awaitable[dict[str, Any]] | AsyncIterator[dict[str, Any]]]"
"""Answers a request: an ``async def`` that returns its answer, or one that yields items."""

_SOCKET = "control.sock"
_NOTE = "control.address"
_LONGEST_LINE = 1 << 20
_PATIENCE_SECONDS = 30.0
_REQUEST_SECONDS = 5.0

_log = get_logger("tricorn.supervise")


class Control:
    """The supervisor's side."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._handlers: dict[str, Handler] = {}
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._working: set[asyncio.Task[None]] = set()

    def handle(self, name: str, handler: Handler) -> None:
        """Answer requests of this name. A SuperviseError that it raises is told to whoever asks; one who goes away ends it."""
        self._handlers[name] = handler

    async def start(self) -> None:
        """Listen. The home is locked, so a socket that is there already is a dead one.

        Raises:
            OSError: it cannot be made.
            DataError: there can be no folder for it.
        """
        self._path = process_folder(self._home.path, _SOCKET) / _SOCKET
        self._path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_LONGEST_LINE)
        finally:
            os.umask(mask)
        (self._home.path / _NOTE).write_text(f"{self._path}\n", encoding="utf-8")

    async def stop(self) -> None:
        """Listen no more, and end what is being answered."""
        if self._server is None or self._path is None:
            return
        self._server.close()
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        self._server = None
        with contextlib.suppress(OSError):
            (self._home.path / _NOTE).unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)
            self._path.parent.rmdir()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._working.add(task)
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                line = await reader.readline()
            if line:
                await self._answer_while_there(line, reader, writer)
        except (OSError, ValueError, TimeoutError) as error:
            _log.warning("a request to the supervisor came to nothing", error=str(error))
        except asyncio.CancelledError:
            pass  # this connection is done: nobody else waits for its task
        finally:
            self._working.discard(task)
            writer.close()

    async def _answer_while_there(
        self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        answering = asyncio.ensure_future(self._answer(line, writer))
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not answering.done():
                answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        async def say(**said: Any) -> None:
            writer.write(json.dumps(said).encode() + b"\n")
            await writer.drain()

        name = ""
        try:
            name, arguments = _request(line)
            answer = self._handlers.get(name, _unknown(name))(arguments)
            if isinstance(answer, AsyncIterator):
                async for item in answer:
                    await say(item=item)
                await say(end=True)
            else:
                await say(answer=await answer)
        except SuperviseError as error:
            await say(error=error.what, remedy=error.remedy, log=error.log)
        except ConnectionError:
            _log.info("nobody waits for an answer any more", call=name)
        except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor goes on
            _log.exception("a request to the supervisor failed", call=name)
            await say(error=f"the supervisor failed at it: {error!r}", remedy="read why with `tricorn logs supervisor`")


def _unknown(name: str) -> Handler:
    async def refuse(_: dict[str, Any]) -> dict[str, Any]:
        raise SuperviseError(
            f"the supervisor that runs here knows no {name!r}",
            remedy="it is of another version: stop it with `tricorn down` and start it again",
        )

    return refuse


def _request(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        said = json.loads(line)
        name, arguments = said["call"], said.get("arguments", {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SuperviseError("a request that is none", remedy='say {"call": NAME, "arguments": {...}}') from error
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise SuperviseError("a request that is none", remedy='say {"call": NAME, "arguments": {...}}')
    return name, arguments


class ControlClient:
    """A command's side. It blocks."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def call(self, name: str, *, patience: float = _PATIENCE_SECONDS, **arguments: Any) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            SuperviseError: nothing runs in the home, it refused, or it said nothing for ``patience`` seconds.
        """
        for said in self._said(name, arguments, patience):
            answer = said.get("answer")
            if isinstance(answer, dict):
                return answer
        raise self._silent(name)

    def stream(self, name: str, *, patience: float | None = None, **arguments: Any) -> Iterator[dict[str, Any]]:
        """The items of an answer, as they come.

        Raises:
            SuperviseError: as `call`; also when the supervisor ends in the middle.
        """
        for said in self._said(name, arguments, patience):
            if said.get("end"):
                return
            item = said.get("item")
            if isinstance(item, dict):
                yield item
        raise self._silent(name)

    def _said(self, name: str, arguments: Mapping[str, Any], patience: float | None) -> Iterator[dict[str, Any]]:
        with self._connected() as connection:
            connection.settimeout(patience)
            connection.sendall(json.dumps({"call": name, "arguments": arguments}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                try:
                    for line in lines:
                        said: dict[str, Any] = json.loads(line)
                        if "error" in said:
                            raise SuperviseError(
                                str(said["error"]), remedy=str(said.get("remedy", "")), log=str(said.get("log", ""))
                            )
                        yield said
                except OSError as error:
                    raise self._silent(name) from error

    def _connected(self) -> socket.socket:
        pid = self._home.supervisor()
        if pid is None:
            raise SuperviseError(
                f"nothing runs in {self._home.path}",
                remedy="start it with `tricorn up`, or name the right home with --home",
            )
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_REQUEST_SECONDS)
        try:
            connection.connect((self._home.path / _NOTE).read_text(encoding="utf-8").strip())
        except OSError as error:
            connection.close()
            raise SuperviseError(
                f"the supervisor (process {pid}) does not listen: {error.strerror}",
                remedy="it may be starting or stopping: try again in a moment",
            ) from error
        return connection

    def _silent(self, name: str) -> SuperviseError:
        return SuperviseError(
            f"the supervisor did not answer {name!r}",
            remedy="look whether it still runs with `tricorn status`, and what it says with `tricorn logs supervisor`",
        )
