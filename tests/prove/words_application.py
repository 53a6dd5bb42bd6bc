"""The toy with one more context, which has a native part: words, counted in Python and by a program that passes for Rust."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from tricorn.contract import codegen
from tricorn.host import Manifest, load_manifest
from tricorn.prove.evidence import Evidence, Prints, SourceCount, fingerprints, save_evidence

TOY = Path(__file__).parents[1] / "toy" / "app"
OVERLAY = Path(__file__).parent / "words"
WORDS = "toy.words.v1.WordsService"
COUNT = f"{WORDS}/CountWords"


def make_words(root: Path) -> None:
    """Put the application in a folder, with evidence. In a process of its own: a toy may be imported here already, from elsewhere."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, str(Path(__file__)), str(root)], env=environment, check=True)


def _make(root: Path) -> Manifest:
    shutil.copytree(TOY, root)
    shutil.copytree(OVERLAY, root, dirs_exist_ok=True)
    toml = root / "tricorn.toml"
    said = toml.read_text() + (root / "more.toml").read_text()
    toml.write_text(said.replace('contexts = ["notes", "tally"]', 'contexts = ["notes", "tally", "words"]'))
    build = root / "native" / "build.sh"
    build.write_text(build.read_text().replace("$WORDS_PYTHON", sys.executable))
    manifest = load_manifest(root)
    codegen.generate(manifest.proto_source)
    manifest.activate()
    return manifest


def _prove(manifest: Manifest) -> None:
    # As `verify` would leave it.
    native = manifest.native_of(WORDS)
    now = fingerprints(manifest, WORDS, native)
    save_evidence(
        manifest,
        Evidence(
            contract=WORDS,
            language="rust",
            fingerprints=Prints(contract=now.contract, reference=now.reference, native=now.native),
            taken=datetime.now(UTC),
            seed=1,
            sources={"generated": SourceCount(compared=30_000, different=0)},
            confidence=0.95,
            differ_below=0.0001,
            asked_twice=300,
            unsteady=0,
            ignored_share=0.0,
            statement="0 of 30,000 differ",
        ),
    )


def set_fault(home: Path, **fault: float) -> None:
    """Have the native program misbehave from the next call on."""
    scratch = home / "fault.new"
    scratch.write_text(json.dumps(fault))
    scratch.replace(home / "fault.json")


if __name__ == "__main__":
    _prove(_make(Path(sys.argv[1])))
