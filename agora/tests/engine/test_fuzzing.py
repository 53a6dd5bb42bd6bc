"""libFuzzer on the engine: whatever bytes arrive, it answers or refuses, within bounds of time and memory, and never panics.

`cargo fuzz` asks for a nightly compiler; its flags for coverage alone are stable, so the target is built with those.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tricorn.conformance import load_cases
from tricorn.host import load_manifest
from tricorn.host.natives import build_folder

ROOT = Path(__file__).parents[3]
FUZZ = ROOT / "agora" / "native" / "engine" / "fuzz"
TARGET_DIR = build_folder("engine-fuzz", ROOT / ".tricorn")
BUILD_SECONDS = 900
FUZZ_SECONDS = 60
LONGEST_ANSWER_SECONDS = 5
METHODS = ["PriceProducts", "PriceBasket", "RepriceCatalogue"]
"""In the order of the target, which reads the method's number from the first byte."""

COVERAGE = (
    "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
    " -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
    " -Cdebug-assertions -Ccodegen-units=1 --cfg fuzzing"
)


def seeds(folder: Path) -> int:
    """The requests of the conformance cases, where the fuzzer begins; how many there are."""
    cases = load_cases(load_manifest(ROOT / "agora"), ROOT / "agora" / "conformance", ["pricing"])
    asked = [case for case in cases if case.policy.service.endswith("PricingService")]
    for number, case in enumerate(asked):
        first = bytes([METHODS.index(case.policy.name)])
        (folder / f"case-{number}").write_bytes(first + case.request.SerializeToString(deterministic=True))
    return len(asked)


@pytest.mark.full
@pytest.mark.skipif(shutil.which("cargo") is None, reason="there is no cargo")
@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler, which libFuzzer needs")
def test_a_minute_of_fuzzing_finds_no_request_that_the_engine_breaks_on(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    assert seeds(corpus) > 20
    # Flags for a named platform alone reach the program, not the scripts that build it.
    host = subprocess.run(["rustc", "--print", "host-tuple"], capture_output=True, text=True, check=True).stdout.strip()
    built = subprocess.run(
        ["cargo", "build", "--quiet", "--release", "--locked", "--target", host],
        cwd=FUZZ,
        env={**os.environ, "RUSTFLAGS": COVERAGE, "CARGO_TARGET_DIR": str(TARGET_DIR)},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert built.returncode == 0, built.stderr

    fuzzed = subprocess.run(
        [
            str(TARGET_DIR / host / "release" / "call"),
            str(corpus),
            f"-max_total_time={FUZZ_SECONDS}",
            f"-timeout={LONGEST_ANSWER_SECONDS}",
            "-max_len=8192",
            "-rss_limit_mb=512",
            f"-artifact_prefix={tmp_path}/",
        ],
        capture_output=True,
        text=True,
        timeout=4 * FUZZ_SECONDS,
        check=False,
    )

    assert fuzzed.returncode == 0, fuzzed.stderr[-4000:]
    assert "Done " in fuzzed.stderr
