"""Makes Python from the contracts: messages by protoc, and for each service a typed client and the base of its server.

Generated code is checked in; `check` tells what is stale. The modules of an application move from their proto package (``agora.catalog.v1``) into a
package of their own (``agora_proto.catalog.v1``), so that they never collide with the code that implements them.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2

_PLATFORM = Path(__file__).resolve().parents[1]
_PLATFORM_PROTO = _PLATFORM / "proto"
_REASON_OPTION = 50501
_HEADER = '"""Made by `tricorn gen`. Do not edit."""\n\n'


class CodegenError(RuntimeError):
    """The contracts could not be compiled; the text is the compiler's own."""


@dataclass(frozen=True, slots=True)
class Source:
    """A tree of protos and where its Python goes.

    ``root`` holds ``package`` as a folder (``agora/proto`` holds ``agora/``); the Python package ``python_package`` is made in ``output``.
    """

    root: Path
    package: str
    python_package: str
    output: Path


PLATFORM_SOURCE = Source(_PLATFORM_PROTO, "tricorn", "tricorn", _PLATFORM)


def include_paths(source: Source) -> list[Path]:
    """Where protoc looks for imports: the source, the platform's protos, and google/api from its own distribution."""
    import google.rpc.status_pb2 as status  # noqa: PLC0415 - found only to learn where the distribution is installed

    site = Path(status.__file__).resolve().parents[2]
    return list(dict.fromkeys([source.root, _PLATFORM_PROTO, site]))


def proto_files(source: Source) -> list[str]:
    """The source's files, relative to its root."""
    return sorted(str(path.relative_to(source.root)) for path in (source.root / source.package).rglob("*.proto"))


def descriptor_set(source: Source) -> bytes:
    """A FileDescriptorSet of the source with all its imports and comments: what buf lints and compares."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.binpb"
        _protoc(source, "--include_imports", "--include_source_info", f"--descriptor_set_out={image}")
        return image.read_bytes()


def generate(source: Source) -> list[Path]:
    """Writes what is stale and removes what is no longer made. Returns the files that changed.

    Raises:
        CodegenError: The output is not the package of the generated code itself, so that removing would hit other files.
    """
    if source.output.name != source.python_package:
        message = (
            f"{source.output} holds hand-written code too: generated code goes into a folder {source.python_package!r}"
        )
        raise CodegenError(message)
    changed = []
    made = _render(source)
    for relative, text in made.items():
        path = source.output / relative
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            changed.append(path)
    for path in _existing(source):
        if str(path.relative_to(source.output)) not in made:
            path.unlink()
            changed.append(path)
    return changed


def check(source: Source) -> list[Path]:
    """The files that `generate` would change."""
    made = _render(source)
    stale = [
        source.output / name
        for name, text in made.items()
        if not (source.output / name).exists() or (source.output / name).read_text() != text
    ]
    return stale + [path for path in _existing(source) if str(path.relative_to(source.output)) not in made]


def _existing(source: Source) -> Iterator[Path]:
    """What an earlier run made. Known by its names, so that a wrong output folder costs nobody their own files."""
    root = source.output / "v1" if source is PLATFORM_SOURCE else source.output
    for ending in ("*_pb2.py", "*_pb2.pyi", "*_tricorn.py"):
        yield from root.rglob(ending)


def _protoc(source: Source, *arguments: str, files: list[str] | None = None) -> None:
    plugin = shutil.which("protoc-gen-mypy", path=str(Path(sys.executable).parent)) or shutil.which("protoc-gen-mypy")
    command = [sys.executable, "-m", "grpc_tools.protoc", *(f"-I{path}" for path in include_paths(source))]
    if plugin:
        command.append(f"--plugin=protoc-gen-mypy={plugin}")
    done = subprocess.run(  # noqa: S603 - our own compiler on our own files
        [*command, *arguments, *(files or proto_files(source))],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise CodegenError(done.stderr.strip() or done.stdout.strip())


def _render(source: Source) -> Mapping[str, str]:
    files = proto_files(source)
    if source is PLATFORM_SOURCE:
        files = [*files, "buf/validate/validate.proto"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        _protoc(source, f"--python_out={out}", f"--mypy_out=quiet:{out}", files=files)
        made = {}
        for path in sorted(out.rglob("*.py*")):
            relative = str(path.relative_to(out))
            made[_target(source, relative)] = _move_imports(source, path.read_text())
    image = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set(source))
    own = [file for file in image.file if file.name.startswith(f"{source.package}/")]
    for file in own:
        if file.service:
            made[_target(source, file.name.removesuffix(".proto") + "_tricorn.py")] = _services(source, file)
    reasons = _reasons(own)
    comments = json.dumps(dict(sorted(_comments(own))), indent=1, ensure_ascii=False) + "\n"
    if source is PLATFORM_SOURCE:
        made["v1/reasons.py"] = reasons
        made["v1/comments.json"] = comments
    else:
        made["reasons.py"] = reasons
        made["comments.json"] = comments
    for folder_name in {str(Path(name).parent) for name in made}:
        parts = [] if folder_name == "." else folder_name.split("/")
        for depth in range(len(parts) + 1):
            if source is PLATFORM_SOURCE and depth == 0:
                continue
            made.setdefault("/".join([*parts[:depth], "__init__.py"]), "")
    return made


def _target(source: Source, relative: str) -> str:
    if relative.startswith("buf/"):
        return f"v1/{Path(relative).name}"
    return relative.removeprefix(f"{source.package}/")


def _move_imports(source: Source, text: str) -> str:
    text = re.sub(r"\bfrom buf\.validate import validate_pb2", "from tricorn.v1 import validate_pb2", text)
    if source.package == source.python_package:
        return text
    return re.sub(rf"\b(from|import) {re.escape(source.package)}\.", rf"\1 {source.python_package}.", text)


def _reasons(files: list[descriptor_pb2.FileDescriptorProto]) -> str:
    lines = [_HEADER, "from enum import StrEnum\n\n\n", "class Reason(StrEnum):\n"]
    names = [
        value.name.removeprefix("REASON_")
        for file in files
        for enum in file.enum_type
        if enum.name == "Reason"
        for value in enum.value
        if value.number
    ]
    lines += [f'    {name} = "{name}"\n' for name in names] or ["    pass\n"]
    return "".join(lines)


def _comments(files: list[descriptor_pb2.FileDescriptorProto]) -> Iterator[tuple[str, str]]:
    for file in files:
        for location in file.source_code_info.location:
            if not location.leading_comments:
                continue
            name = _named(file, list(location.path))
            if name:
                yield name, "\n".join(line.removeprefix(" ") for line in location.leading_comments.rstrip().split("\n"))


def _named(file: descriptor_pb2.FileDescriptorProto, path: list[int]) -> str | None:
    node: Any = file
    names = [file.package]
    for field_number, index in zip(path[::2], path[1::2], strict=False):
        field = type(node).DESCRIPTOR.fields_by_number.get(field_number)
        if field is None or field.name not in {
            "message_type", "enum_type", "service", "method", "field", "nested_type", "value",
        }:  # fmt: skip
            return None
        node = getattr(node, field.name)[index]
        names.append(node.name)
    return ".".join(names) if len(path) % 2 == 0 and len(names) > 1 else None


def _services(source: Source, file: descriptor_pb2.FileDescriptorProto) -> str:
    modules: set[str] = set()

    def python_type(type_name: str) -> str:
        module, name = _python_module(source, type_name)
        modules.add(module)
        return f"{module.rpartition('.')[2]}.{name}" if module.count(".") else name

    body = []
    for service in file.service:
        full = f"{file.package}.{service.name}"
        methods = [
            (_snake(method.name), method, python_type(method.input_type), python_type(method.output_type))
            for method in service.method
        ]
        body.append(_client(service.name, full, methods))
        body.append(_base(service.name, full, methods))
    imports = "".join(
        f"from {module.rpartition('.')[0]} import {module.rpartition('.')[2]}\n" for module in sorted(modules)
    )
    prelude = "import abc\nfrom collections.abc import AsyncIterator\n\n"
    return _HEADER + prelude + imports + "from tricorn.wire.call import Call, Caller\n" + "".join(body)


_Methods = list[tuple[str, descriptor_pb2.MethodDescriptorProto, str, str]]


def _client(name: str, full: str, methods: _Methods) -> str:
    lines = [f"\n\nclass {name}Client:\n", f'    SERVICE = "{full}"\n\n']
    lines.append("    def __init__(self, caller: Caller) -> None:\n        self._caller = caller\n")
    for python_name, method, request, response in methods:
        path = f"{full}/{method.name}"
        if method.client_streaming:
            request = f"AsyncIterator[{request}]"  # noqa: PLW2901
        if method.server_streaming:
            lines.append(f"\n    def {python_name}(self, request: {request}) -> AsyncIterator[{response}]:\n")
            lines.append(f'        return self._caller.stream("{path}", request)  # type: ignore[return-value]\n')
        else:
            lines.append(
                f"\n    async def {python_name}(self, request: {request}, *, deadline: float | None = None) -> {response}:\n"
            )
            lines.append(
                f'        return await self._caller.call("{path}", request, deadline)  # type: ignore[return-value]\n'
            )
    return "".join(lines)


def _base(name: str, full: str, methods: _Methods) -> str:
    lines = [f"\n\nclass {name}Base(abc.ABC):\n", f'    SERVICE = "{full}"\n']
    for python_name, method, request, response in methods:
        if method.client_streaming:
            request = f"AsyncIterator[{request}]"  # noqa: PLW2901
        word, result = ("def", f"AsyncIterator[{response}]") if method.server_streaming else ("async def", response)
        lines.append("\n    @abc.abstractmethod\n")
        lines.append(f"    {word} {python_name}(self, request: {request}, call: Call) -> {result}: ...\n")
    return "".join(lines)


def _python_module(source: Source, type_name: str) -> tuple[str, str]:
    """``.agora.v1.Money`` -> (``agora_proto.v1.money_pb2``, ``Money``), by looking the type up in the compiled files."""
    known = _types(source)
    proto, name = known[type_name]
    module = proto.removesuffix(".proto").replace("/", ".") + "_pb2"
    if source.package != source.python_package and module.startswith(f"{source.package}."):
        module = f"{source.python_package}.{module.removeprefix(source.package + '.')}"
    return module, name


_type_cache: dict[Path, dict[str, tuple[str, str]]] = {}


def _types(source: Source) -> dict[str, tuple[str, str]]:
    if source.root not in _type_cache:
        image = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set(source))
        _type_cache[source.root] = {
            f".{file.package}.{message.name}": (file.name, message.name)
            for file in image.file
            for message in file.message_type
        }
    return _type_cache[source.root]


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
