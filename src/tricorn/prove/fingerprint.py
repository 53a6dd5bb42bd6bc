"""What evidence is bound to: hashes of the contract, of its reference, and of a native implementation's sources."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from google.protobuf import descriptor_pb2, descriptor_pool

from tricorn.host.manifest import Manifest
from tricorn.prove.sources import reference_files
from tricorn.v1 import options_pb2, validate_pb2

_KNOWN_OPTIONS = (options_pb2, validate_pb2)
"""Imported so that their options are known, and so written in one order, wherever a fingerprint is taken."""

_LEFT_OUT = {"target", "__pycache__", "node_modules"}


class NativePart(Protocol):
    """What is asked of a native part of ``tricorn.toml``: the paths that it is made of, relative to that file."""

    @property
    def sources(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """SHA-256 in hexadecimal digits. ``native`` is empty where none was asked for."""

    contract: str
    reference: str
    native: str


def fingerprints(manifest: Manifest, contract: str, native: NativePart | None = None) -> Fingerprints:
    """The hashes of a contract as it is now. Imports the application's generated messages and nothing else of it.

    Raises:
        SourceError: Nothing implements the contract.
        KeyError: No generated module declares it.
    """
    manifest.activate()
    return Fingerprints(
        contract_fingerprint(contract),
        reference_fingerprint(manifest, contract),
        "" if native is None else native_fingerprint(manifest.root, native.sources),
    )


def contract_fingerprint(contract: str) -> str:
    """Of a service with every message and enum that it reaches, options and rules included; comments do not count."""
    service = descriptor_pool.Default().FindServiceByName(contract)
    said = descriptor_pb2.ServiceDescriptorProto()
    service.CopyToProto(said)
    digest = hashlib.sha256(said.SerializeToString(deterministic=True))
    reached: dict[str, bytes] = {}
    for method in service.methods:
        _reach_message(method.input_type, reached)
        _reach_message(method.output_type, reached)
    for name, written in sorted(reached.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(written).digest())
    return digest.hexdigest()


def _reach_message(message: Any, reached: dict[str, bytes]) -> None:
    if message.full_name in reached:
        return
    said = descriptor_pb2.DescriptorProto()
    message.CopyToProto(said)
    # What is declared inside counts if it is used, and then by itself.
    del said.nested_type[:]
    del said.enum_type[:]
    reached[message.full_name] = said.SerializeToString(deterministic=True)
    for field in message.fields:
        if field.message_type is not None:
            _reach_message(field.message_type, reached)
        if field.enum_type is not None and field.enum_type.full_name not in reached:
            values = descriptor_pb2.EnumDescriptorProto()
            field.enum_type.CopyToProto(values)
            reached[field.enum_type.full_name] = values.SerializeToString(deterministic=True)


def reference_fingerprint(manifest: Manifest, contract: str) -> str:
    """Of the modules that implement a contract, with what they import inside the application."""
    digest = hashlib.sha256()
    for module, path in reference_files(manifest, contract).items():
        digest.update(module.encode() + b"\0" + hashlib.sha256(_text(path)).digest())
    return digest.hexdigest()


def native_fingerprint(root: Path, sources: Iterable[str]) -> str:
    """Of every file below the sources, lock files included; build output, hidden files, prose and Go's tests are left out."""
    digest = hashlib.sha256()
    for source in sorted(sources):
        base = (root / source).resolve()
        for path in sorted([base] if base.is_file() else base.rglob("*")):
            inside = path.relative_to(base)
            left_out = path.suffix == ".md" or path.name.endswith("_test.go")
            if left_out or not path.is_file() or any(_is_left_out(part) for part in inside.parts):
                continue
            digest.update(f"{source}/{inside.as_posix()}".encode() + b"\0" + hashlib.sha256(_text(path)).digest())
    return digest.hexdigest()


def _is_left_out(part: str) -> bool:
    return part.startswith(".") or part in _LEFT_OUT


def _text(path: Path) -> bytes:
    # A checkout may have rewritten the ends of lines.
    return path.read_bytes().replace(b"\r\n", b"\n")
