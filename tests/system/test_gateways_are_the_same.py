"""The suite of requests that every gateway answers alike: Python's against itself, with differences that are planted, and against Go's."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from natives import BUILD_SECONDS, shared_builds
from shop import ROOT

from tricorn.cli.building import built
from tricorn.conformance.parity import play_all
from tricorn.conformance.parity.gateways import Behind, python_gateway, reference_and
from tricorn.conformance.parity.suite import load_suite
from tricorn.host import Manifest, load_manifest

pytestmark = pytest.mark.slow
AGORA = ROOT / "agora"
PLANTED = {
    "TRICORN_HSTS": "true",
    "TRICORN_MAX_BODY_BYTES": "2048",
    "TRICORN_RATE_FACTOR": "4",
    "TRICORN_CORS_ORIGINS": '["https://elsewhere.example"]',
}
WHERE = {
    "header strict-transport-security: None is": "gateway/reading: pages for readers: GET /health",
    "header ratelimit-limit:": "gateway/reading: what everyone may read: GET /api/v1/products",
    "header access-control-allow-origin: None is": "gateway/forms: pages of other origins: GET /nothing",
    "code: 'MALFORMED_REQUEST' is 'PAYLOAD_TOO_LARGE'": "gateway/bodies: a registration that cannot be read",
}
"""What is planted shows in these cases."""


@pytest.fixture(scope="module")
def agora() -> Manifest:
    manifest = load_manifest(AGORA)
    manifest.activate()
    return manifest


@asynccontextmanager
async def _another(behind: Behind, public: socket.socket) -> AsyncIterator[str]:
    """A gateway of which an operator has set a few things otherwise."""
    changed = replace(behind, environment={**behind.environment, **PLANTED})
    async with python_gateway(changed, public) as address:
        yield address


def _compare(*words: str, timeout: float) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tricorn", "conformance", "gateway", "--json", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_of_python_and_python_every_request_is_answered_alike() -> None:
    report = _compare(timeout=300)

    assert report["failures"] == []
    assert report["requests"] > 1000


def test_what_is_planted_is_found(agora: Manifest) -> None:
    suite = load_suite(agora, drawn=0)
    wanted = tuple(WHERE.values())
    cases = [case for case in suite.cases if case.id.startswith(wanted)]

    async def play() -> list[tuple[str, str]]:
        async with reference_and(_another, agora) as (reference, candidate):
            findings = await play_all(suite.tables.setup, cases, reference, candidate)
        return [(finding.case.id, difference) for finding in findings for difference in finding.differences]

    found = asyncio.run(play())

    for difference, where in WHERE.items():
        assert any(case.startswith(where) and difference in said for case, said in found), (difference, found[:20])


@pytest.mark.skipif(shutil.which("go") is None, reason="the edge is built with go, and there is no go")
def test_of_python_and_go_every_request_is_answered_alike(
    agora: Manifest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    edge = next((name for name, native in agora.natives.items() if native.gateway), None)
    if edge is None:
        pytest.skip("tricorn.toml has no native gateway")
    for name, value in shared_builds().items():
        monkeypatch.setenv(name, value)
    built(agora, edge, tmp_path, lambda _: None)

    report = _compare("--against", "go", timeout=BUILD_SECONDS)

    assert report["failures"] == []
    assert report["closed_gaps"] == []
