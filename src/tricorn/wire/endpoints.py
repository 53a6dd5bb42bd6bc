"""Where each implementation of each contract is: ``endpoints.json``, read by every process and written by the supervisor.

    {"version": 1, "endpoints": {"package.Service": {"python": ["unix:/run/x.sock"], "rust": ["host:port"]}}}

Nothing here loads gRPC or protobuf: the supervisor and short commands read the file too.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tricorn.wire.bindings import REFERENCE
from tricorn.wire.watched import WatchedFile

ENDPOINTS_FILE = "endpoints.json"
SCHEMA_VERSION = 1

STATS = "tricorn.v1.StatsService"
"""The platform's contract that every process answers for itself. Listed are those whose calls nobody else counts: native gateways."""

LIMITS = "tricorn.v1.LimitsService"
"""The platform's contract that whoever has the public port answers."""

CHECK_RATE_LIMIT = f"{LIMITS}/CheckRateLimit"

Addresses = Mapping[str, Mapping[str, Sequence[str]]]
"""Addresses (``unix:PATH`` or ``HOST:PORT``) by contract and implementation."""


def read_endpoints(path: Path) -> Addresses:
    """Reads an endpoints file.

    Raises:
        ValueError: The file is not of that form.
    """
    try:
        return parse_endpoints(path.read_bytes())
    except (OSError, ValueError) as error:
        message = f"{path}: not an endpoints file: {error}"
        raise ValueError(message) from error


def known_endpoints(path: Path) -> Addresses:
    """As `read_endpoints`; nothing is known where there is no such file, or it makes no sense."""
    try:
        return read_endpoints(path)
    except ValueError:
        return {}


def parse_endpoints(text: str | bytes) -> Addresses:
    """Reads ``{"version": 1, "endpoints": {"package.Service": {"python": ["unix:/run/x.sock", ...]}}}``; a list in place of the object means
    Python.

    Raises:
        ValueError: It is not of that form.
    """
    try:
        said = json.loads(text)
        version, endpoints = said["version"], said["endpoints"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"no JSON object with a version and endpoints ({error})"
        raise ValueError(message) from error
    if version != SCHEMA_VERSION:
        message = f"version {SCHEMA_VERSION} is expected, not {version!r}"
        raise ValueError(message)
    return {contract: _addresses(contract, each) for contract, each in endpoints}


def dump_endpoints(endpoints: Addresses) -> str:
    """The text of an endpoints file; `parse_endpoints` reads the same from it."""
    listed = {contract: {name: list(at) for name, at in each.items()} for contract, each in endpoints.items()}
    return json.dumps({"version": SCHEMA_VERSION, "endpoints": listed}, indent=1) + "\n"


def _addresses(contract: str, said: Any) -> Mapping[str, Sequence[str]]:
    by_implementation = {REFERENCE: said} if isinstance(said, list) else said
    well_formed = isinstance(by_implementation, dict) and all(
        isinstance(at, list) and at and all(isinstance(address, str) and address for address in at)
        for at in by_implementation.values()
    )
    if not well_formed:
        message = f"{contract}: a list of addresses for each implementation is expected"
        raise ValueError(message)
    return {name: tuple(at) for name, at in by_implementation.items()}


class EndpointsFile(WatchedFile[Addresses]):
    """The endpoints as the supervisor last wrote them; none as long as there never was a file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, parse_endpoints, {})
