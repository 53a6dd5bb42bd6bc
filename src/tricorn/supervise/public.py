"""The public listening socket. The supervisor owns it, so that a gateway can be replaced while it stays open."""

from __future__ import annotations

import errno
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tricorn.supervise.errors import SuperviseError

_BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """Listen on `host`:`port`; port 0 takes a free one.

    Raises:
        SuperviseError: the address is taken, is not of this machine, or needs rights.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise SuperviseError(
            f"{host!r} is no address of this machine: {error.strerror}", remedy="name one with --host, e.g. 127.0.0.1"
        ) from error
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts.
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _refused(error, host, port) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL under which this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - no bind
    return f"http://{local}:{port}"


def get(url: str, path: str) -> tuple[int, str]:
    """Status and body of a GET; status 0 when nothing answers."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read(65536).decode(errors="replace")
    except (OSError, HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()


def _refused(error: OSError, host: str, port: int) -> SuperviseError:
    if error.errno == errno.EADDRINUSE:
        return SuperviseError(
            f"port {port} of {host} is taken{_by_whom(port)}",
            remedy=f"choose another with --port, e.g. --port {port % 65535 + 1}, or --port 0 for a free one",
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return SuperviseError(f"port {port} may be opened by root only", remedy="choose one above 1023 with --port")
    return SuperviseError(f"cannot listen on {host}:{port}: {error.strerror}", remedy="choose another --host or --port")


def _by_whom(port: int) -> str:
    """The process that listens there, where the system tells."""
    try:
        import psutil  # noqa: PLC0415 - only to say more about an error

        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            if listens and connection.pid is not None:
                process = psutil.Process(connection.pid)
                folder = Path(process.cwd())
                return f" by process {process.pid} ({process.name()}, in {folder})"
    except Exception:  # noqa: BLE001 - psutil may be absent or not allowed to look
        return ""
    return ""
