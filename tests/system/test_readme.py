"""The purchase in the README, pasted into a shell."""

import re
import subprocess

from shop import ROOT, Shop

ADDRESS = "http://127.0.0.1:8080"


def test_the_purchase_of_the_readme_works_word_for_word(agora: Shop) -> None:
    (block,) = re.findall(r"```sh\n(SHOP=.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert ADDRESS in block

    done = subprocess.run(
        ["sh", "-eu", "-c", block.replace(ADDRESS, agora.url)], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert '"currency": "USD"' in said[1]
    assert any(line.startswith("data:") and said[2] in line and "STATE_COMPLETED" in line for line in said)
    assert said[-1] == "STATE_COMPLETED"
