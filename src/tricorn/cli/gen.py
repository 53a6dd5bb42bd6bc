"""`tricorn gen`."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tricorn.cli.application import folder, manifest
from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from tricorn.contract.codegen import Source
    from tricorn.contract.plugins import Template
    from tricorn.contract.rust import Crate
    from tricorn.host.manifest import Manifest

app = typer.Typer()


@app.command()
def gen(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail and name what is stale.")] = False,
) -> int:
    """Make everything that is made from the contracts and the settings, and name the files that changed.

    Python messages, clients and servers of the application (and of the platform, in its own repository), what
    buf.gen.yaml lists for other languages (Go), Rust for the crates that ask for it, and the pages of errors and settings
    in docs/. What needs a tool that is not here is left alone, and named.
    """
    application = manifest()
    changed = generated(application, check=check)
    if missing := missing_plugins(application):
        typer.echo(f"left the code of plugins (Go) alone: {missing}")
    else:
        changed += generated_by_plugins(application, check=check)
    missing = missing_rust(application)
    if missing:
        typer.echo(f"left Rust alone: {missing}")
    else:
        changed += generated_rust(application, check=check)
    for path in changed:
        typer.echo(f"{'stale' if check else 'made'} {_short(path)}")
    if not changed:
        typer.echo("everything is fresh")
    return 1 if check and changed else 0


def generated(application: Manifest, *, check: bool) -> list[Path]:
    """Make what is stale, or with `check` only say what would change.

    Raises:
        SuperviseError: the contracts do not compile.
    """
    from tricorn.contract.codegen import PLATFORM_SOURCE, CodegenError, generate
    from tricorn.contract.codegen import check as stale

    work = stale if check else generate
    try:
        changed = list(work(PLATFORM_SOURCE)) if _is_with(application, PLATFORM_SOURCE.output) else []
        changed += work(application.proto_source)
    except CodegenError as error:
        raise SuperviseError("the contracts do not compile", remedy="mend the .proto files", log=str(error)) from error
    return changed + _pages(application, check=check)


def missing_plugins(application: Manifest) -> str:
    """What the plugins of buf.gen.yaml need and this machine has not; empty when it has everything, or when none is listed."""
    from tricorn.contract.plugins import missing_program

    missing = (missing_program(template) for _, template in _templates(application))
    return "; ".join(sorted(set(filter(None, missing))))


def generated_by_plugins(application: Manifest, *, check: bool) -> list[Path]:
    """Like `generated`, for what buf.gen.yaml lists.

    Raises:
        SuperviseError: the contracts do not compile, or a plugin fails.
    """
    from tricorn.contract.codegen import CodegenError
    from tricorn.contract.plugins import generate

    try:
        templates = _templates(application)
        return [path for source, template in templates for path in generate(source, template, check=check)]
    except CodegenError as error:
        raise SuperviseError("a plugin of buf.gen.yaml fails", remedy="see below", log=str(error)) from error


def _templates(application: Manifest) -> list[tuple[Source, Template]]:
    """The application's buf.gen.yaml, and the platform's in its own repository."""
    from tricorn.contract.codegen import PLATFORM_SOURCE
    from tricorn.contract.plugins import GO_PLATFORM, TEMPLATE, read_template

    places = [(application.proto_source, application.proto_source.root / TEMPLATE, application.root)]
    if _is_with(application, PLATFORM_SOURCE.output):
        places.append((PLATFORM_SOURCE, GO_PLATFORM / TEMPLATE, GO_PLATFORM))
    read = [(source, read_template(file, root)) for source, file, root in places]
    return [(source, template) for source, template in read if template is not None]


def missing_rust(application: Manifest) -> str:
    """Why Rust cannot be made here; empty when it can, or when no crate asks for any."""
    from tricorn.contract.rust import missing_tool

    return missing_tool() if _crates(application) else ""


def generated_rust(application: Manifest, *, check: bool) -> list[Path]:
    """Like `generated`, for the crates that ask for Rust.

    Raises:
        SuperviseError: the contracts do not compile, or what makes the Rust does not.
    """
    from tricorn.contract.codegen import CodegenError
    from tricorn.contract.rust import generate
    from tricorn.host.natives import build_folder

    build = build_folder("gen", folder() / ".tricorn")
    try:
        return [path for source, crate in _crates(application) for path in generate(source, crate, build, check=check)]
    except CodegenError as error:
        raise SuperviseError("the Rust of the contracts cannot be made", remedy="see below", log=str(error)) from error


def _crates(application: Manifest) -> list[tuple[Source, Crate]]:
    """The application's crates that ask for code, and the platform's in its own repository."""
    from tricorn.contract.codegen import PLATFORM_SOURCE
    from tricorn.contract.rust import WORKSPACE, find_crates

    roots = [(application.proto_source, application.root / native.root) for native in application.natives.values()]
    if _is_with(application, PLATFORM_SOURCE.output):
        roots.append((PLATFORM_SOURCE, WORKSPACE))
    return [(source, crate) for source, root in roots for crate in find_crates(root)]


def _is_with(application: Manifest, platform: Path) -> bool:
    """Whether both are of one repository: an installed platform is not ours to change."""
    return application.root.is_relative_to(platform.parents[1])


def _pages(application: Manifest, *, check: bool) -> list[Path]:
    """The documents that are made: what differs is written, unless it is only to be named."""
    from google.protobuf import descriptor_pool

    from tricorn.contract.codegen import PLATFORM_SOURCE
    from tricorn.contract.vocabulary import errors_page
    from tricorn.host.manifest import resolve
    from tricorn.host.settings import Settings, settings_page
    from tricorn.v1 import reason_pb2

    application.activate()
    enums = [reason_pb2.DESCRIPTOR.enum_types_by_name["Reason"]]
    with suppress(KeyError):  # an application may have no reasons of its own
        enums.append(descriptor_pool.Default().FindEnumTypeByName(f"{application.application.package}.v1.Reason"))
    files = [PLATFORM_SOURCE.output / "v1" / "comments.json", application.proto_source.output / "comments.json"]
    comments = {name: text for file in files if file.exists() for name, text in json.loads(file.read_text()).items()}
    models = [Settings, *(resolve(name) for name in application.application.settings)]
    pages = {
        "errors.md": errors_page(enums, comments),
        "settings.md": settings_page(models),  # type: ignore[arg-type]
    }
    made = {folder() / "docs" / name: text for name, text in pages.items()} | _native_gateway_pages(application)
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    if not check:
        for path in stale:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[path])
    return stale


def _native_gateway_pages(application: Manifest) -> dict[Path, str]:
    """What a gateway in another language shows and does not make: the OpenAPI document, and the page that reads it."""
    from tricorn.contract.codegen import PLATFORM_SOURCE
    from tricorn.contract.plugins import GO_PLATFORM
    from tricorn.supervise.openapi import openapi_page, reader_pages

    made: dict[Path, str] = {}
    gateway = next((name for name, native in application.natives.items() if native.gateway), None)
    if gateway is not None:
        made[application.root / application.natives[gateway].root / gateway / "openapi.json"] = openapi_page(
            application
        )
    if _is_with(application, PLATFORM_SOURCE.output) and GO_PLATFORM.is_dir():
        made |= {GO_PLATFORM / "gateway" / "pages" / name: text for name, text in reader_pages().items()}
    return made


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
