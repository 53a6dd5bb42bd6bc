"""What a supervised process hears from its supervisor."""

from __future__ import annotations

import os
import subprocess
import sys

WAITS = """
import queue, sys
from tricorn.supervise.life import Life
life, heard = Life(int(sys.argv[1])), queue.Queue()
print(life.begin(), flush=True)
sys.stdin.readline()
life.listen(heard.put)
while True:
    print(heard.get(timeout=20), flush=True)
"""


def test_words_that_come_before_somebody_listens_are_heard_in_order() -> None:
    reader, writer = os.pipe()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, str(reader)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[reader],
        env=environment,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        os.close(reader)
        os.write(writer, b'{"gateway": "closed"}\n{"gateway": "open"}\n{"gateway": ')
        said = [process.stdout.readline()]

        process.stdin.write("\n")
        process.stdin.flush()
        said.append(process.stdout.readline())
        os.write(writer, b'"leave"}\n')
        said.append(process.stdout.readline())
        os.close(writer)
        status = process.wait(20)

    assert [line.strip() for line in said] == ["{'gateway': 'closed'}", "{'gateway': 'open'}", "{'gateway': 'leave'}"]
    assert status == -15, "it ends with its supervisor"
