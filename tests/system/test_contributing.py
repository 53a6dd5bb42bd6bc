"""The worked examples of CONTRIBUTING, followed word for word in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shop import ROOT

BLOCK = re.compile(r"^   ```\w+\n(.*?)^   ```", re.DOTALL | re.MULTILINE)
NEW_FILE = re.compile(r"ew file\s+`([^`]+)`(?:(?!```).)*?^   ```\w+\n(.*?)^   ```", re.DOTALL | re.MULTILINE)
LEFT_OUT = shutil.ignore_patterns(".venv", ".git", ".tricorn", ".hypothesis", "__pycache__", ".*_cache")


def dedented(block: str) -> str:
    return re.sub(r"^   ", "", block, flags=re.MULTILINE)


class Copy:
    """A copy of the repository in which the steps are followed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(ROOT, root, ignore=LEFT_OUT)

    def replace(self, path: str, before: str, after: str) -> None:
        text = (self.root / path).read_text()
        assert before in text, f"{path} has no {before!r} any more"
        (self.root / path).write_text(text.replace(before, after, 1))

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def passes(self, *command: str) -> str:
        environment = {**os.environ, "PYTHONPATH": f"{self.root / 'src'}:{self.root / 'agora/src'}"}
        done = subprocess.run(
            [sys.executable, "-P", "-m", *command],
            cwd=self.root, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.mark.full
def test_a_method_and_a_context_are_added_as_contributing_says(tmp_path: Path) -> None:
    said = (ROOT / "CONTRIBUTING.md").read_text()
    method, context = said.partition("## Add a method")[2].split("## Add a context")
    copy = Copy(tmp_path / "copy")
    rpc, request, use_case, rule, server, cases = map(dedented, BLOCK.findall(method))
    catalog, contract = "agora/src/agora/catalog", "agora/proto/agora/catalog/v1/catalog.proto"
    for path, before, text in [
        (contract, "  rpc ListCategories(", rpc),
        (contract, "message ListCategoriesRequest {}", request),
        (f"{catalog}/service.py", "    async def get_figures(", use_case),
        (f"{catalog}/server.py", "    async def create_product(", server),
    ]:
        copy.replace(path, before, f"{text}\n{before}")
    copy.replace(f"{catalog}/domain.py", "def not_found(", f"{rule}\n\ndef not_found(")
    copy.write("agora/conformance/catalog/one_category.json", cases)
    files = {path: dedented(text) for path, text in NEW_FILE.findall(context)}
    for path, text in files.items():
        copy.write(path, text)
    copy.write("agora/src/agora/wishes/__init__.py", "")
    (declared,) = [
        dedented(block) for block in BLOCK.findall(context) if block.lstrip().startswith("[contexts.wishes]")
    ]
    copy.replace("agora/tricorn.toml", "[processes.shop]", f"{declared}\n[processes.shop]")
    copy.replace("agora/tricorn.toml", '"payments"]', '"payments", "wishes"]')

    copy.passes("tricorn", "gen")
    played = copy.passes("tricorn", "conformance", "catalog", "wishes")
    copy.passes("tricorn", "test", "wishes", "-q")

    assert len(files) == 9
    assert re.search(r"agora\.wishes\.v1\.WishesService +3/3", played)
    copy.passes("ruff", "check", "--quiet", "agora/src/agora/wishes", "agora/tests/wishes", catalog)
    copy.passes("ruff", "format", "--check", "--quiet", "agora/src/agora/wishes", "agora/tests/wishes", catalog)
    copy.passes("mypy", "agora/src/agora/wishes", catalog)
