"""A supervised program for the tests: an HTTP server that does what its name says.

Paths: `/` says its process id, `/crash` ends it with status 3, `/hang` makes it deaf to SIGTERM, `/fork` starts one
that would outlive it.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tricorn.supervise.life import Life, say_ready


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/crash":
            os._exit(3)
        if self.path == "/hang":
            server_hangs.set()
        said: object = os.getpid()
        if self.path == "/fork":
            said = subprocess.Popen(["sleep", "600"]).pid
        if self.path == "/environment":
            said = os.environ.get("DATABASE_URL")
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


server_hangs = threading.Event()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--public-fd", type=int)
    parser.add_argument("--ready-fd", type=int)
    parser.add_argument("--life-fd", type=int)
    parser.add_argument("--fail", action="store_true")
    parser.add_argument("--stubborn", action="store_true")
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--once", type=Path)
    said = parser.parse_args()
    life = Life(said.life_fd)
    life.wait()
    life.watch()
    if said.fail:
        sys.stderr.write("the toy cannot find its key\n")
        return 4
    if said.once is not None:
        os.write(said.ready_fd, b'{"step": "filling", "done": 1, "total": 2}\n')
        said.once.write_text("done")
        return 0
    stop: queue.SimpleQueue[None] = queue.SimpleQueue()  # unlike an `Event`, it may be put into by a signal's handler

    def end(*_: object) -> None:
        if not (said.stubborn or server_hangs.is_set()):
            stop.put(None)

    signal.signal(signal.SIGTERM, end)
    server = None
    if said.public_fd is not None:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        server.socket = socket.socket(fileno=said.public_fd)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    say_ready(said.ready_fd)
    stop.get()
    if said.journal is not None:
        with said.journal.open("a") as journal:
            journal.write(f"{sys.argv[0]} {os.getpid()} ended\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
