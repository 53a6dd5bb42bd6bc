"""What builds or checks a part in the tests: says the lines that a file holds, one JSON object each, and ends.

Where the file says `hang` it starts a process of its own and waits for ever; where it says `crash` it fails; where it begins with `wait PATH`
it says the rest once there is something at that path.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from tricorn.supervise.life import Life


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("lines", type=Path)
    parser.add_argument("asked", nargs="*")
    parser.add_argument("--ready-fd", type=int)
    parser.add_argument("--life-fd", type=int)
    said = parser.parse_args()
    life = Life(said.life_fd)
    life.wait()
    life.watch()
    text = said.lines.read_text()
    if text == "hang":
        subprocess.Popen(["sleep", "600"])
        os.write(said.ready_fd, b'{"step": "compiling for ever"}\n')
        threading.Event().wait()
    if text == "crash":
        sys.stderr.write("the tool tripped\n")
        return 5
    if text.startswith("wait "):
        first, _, text = text.partition("\n")
        os.write(said.ready_fd, b'{"step": "waiting"}\n')
        sys.stderr.write("waiting\n")
        while not Path(first.removeprefix("wait ")).exists():
            time.sleep(0.02)
    os.write(said.ready_fd, text.encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
