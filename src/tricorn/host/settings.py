"""The settings of a process, defined once; `tricorn gen` writes their documentation from here."""

from collections.abc import Iterable
from typing import Literal, get_args, get_origin

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from environment variables ``TRICORN_...``; the standard names ``DATABASE_URL`` and ``OTEL_...`` hold as everywhere."""

    model_config = SettingsConfigDict(env_prefix="TRICORN_", extra="ignore")

    environment: Literal["development", "production"] = Field(
        default="development",
        description="Outside development no demonstration data is loaded, and the admin's cookies need HTTPS.",
    )
    database_url: str = Field(
        default="",
        validation_alias="DATABASE_URL",
        description="A PostgreSQL to use instead of the embedded one: postgresql://user:password@host:port/database. "
        "The user must be allowed to create roles and schemas.",
    )
    database_connections: int = Field(
        default=48,
        ge=4,
        le=1000,
        description="How many database connections one process may hold, over all its contexts.",
    )
    cpu_workers: int = Field(
        default=1, ge=0, le=64, description="Processes for work that would stall the event loop; 0: none."
    )
    fallback_calls: int = Field(
        default=32,
        ge=0,
        le=10_000,
        description="How many calls at once the Python reference answers for native implementations that are gone. Those above it "
        "are refused with 503 and Retry-After.",
    )
    shutdown_seconds: float = Field(
        default=10.0, gt=0, description="How long calls in flight may take to end when a process stops."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe log line that is written."
    )
    metrics_address: str = Field(
        default="127.0.0.1:0",
        description="Where Prometheus metrics are served; port 0: a free one, named in `NAME.metrics` of the home.",
    )
    cors_origins: list[str] = Field(
        default=[], description='Origins whose pages may call the API, as JSON: ["https://shop.example"]. Empty: none.'
    )
    trusted_proxies: list[str] = Field(
        default=[],
        description="Addresses whose X-Forwarded-For is believed, as JSON. Empty: none; the peer is the client.",
    )
    hsts: bool = Field(
        default=False, description="Send Strict-Transport-Security: only where every request comes over TLS."
    )
    max_body_bytes: int = Field(
        default=1024 * 1024,
        ge=1024,
        description="The longest request body that the gateway takes, mounted pages' included.",
    )
    rate_factor: float = Field(default=1.0, gt=0, description="Multiplies every rate limit; for load tests.")
    profile_folder: str = Field(
        default="",
        description="Profile the process and write `NAME.prof` (cProfile) there when it stops. It then runs at half its speed.",
    )
    clock_offset: float = Field(
        default=0.0, description="Seconds that this process's clock is off; for tests of drifting clocks."
    )
    failpoints: str = Field(
        default="", description="Named points at which the process fails; for tests. See `tricorn.failpoints`."
    )


EARLY_VARIABLES = {
    "TRICORN_PYTHON": "The Python that `.venv` is made with. Default: the newest of 3.11 and later on the PATH.",
    "TRICORN_APP": "The application's folder, as `--app` names it. Default: where `tricorn.toml` is, here or a folder below.",
    "TRICORN_HOME": "Where state lies, as `--home` names it. Default: `.tricorn` beside the application's folder.",
    "TRICORN_SHAPE": "The shape that `up` starts, as `--shape` names it. Default: `grow` where `tricorn.toml` has one, else its first.",
    "TRICORN_BUILD_DIR": "Where native parts are built, a folder for each; homes may share it. Default: `build` in the home.",
    "TRICORN_CLOCK_OFFSETS": "Seconds that the clocks of single processes are off, `shop=60,inventory=-60`; for tests of drifting clocks. "
    "Default: what TRICORN_CLOCK_OFFSET says.",
    "TRICORN_DATABASE_SECRET": "With DATABASE_URL: what the passwords of the contexts' roles are derived from. Machines that share a "
    "database share it. Default: `database.secret` in the home, made on first use.",
    "REDIS_URL": "A Redis in which gateways in Go count requests together and share answers: redis://host:port/0. While it is away each counts "
    'and remembers alone; calls of a rate class with `when_blind = "closed"` are refused (UNAVAILABLE). Default: none.',
    "TRICORN_TRACE_RATE": "How many traces are kept in a second, for `tricorn trace`; whoever asks may send a traceparent, which says which trace "
    "it is and not whether it is kept. 0: none. Default: 10, or all where OTEL_EXPORTER_OTLP_ENDPOINT is set.",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "Where spans are sent (OTLP over HTTP). Default: to the supervisor, which keeps the last of them in the "
    "home. The other standard `OTEL_*` variables hold too.",
}
"""What is read from the environment outside `Settings`: by the door, the command line, and libraries."""


def settings_rows(model: type[BaseSettings]) -> Iterable[tuple[str, str, str, str]]:
    """(variable, type, default, description) of every setting of a model, in order."""
    prefix = str(model.model_config.get("env_prefix", ""))
    for name, field in model.model_fields.items():
        variable = field.validation_alias if isinstance(field.validation_alias, str) else f"{prefix}{name}".upper()
        annotation = _type(field.annotation)
        default = "" if field.is_required() else repr(field.get_default(call_default_factory=True))
        yield variable, annotation, default, field.description or ""


def _type(annotation: object) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(get_args(annotation))
    if get_origin(annotation) is not None:
        return str(annotation)
    return getattr(annotation, "__name__", str(annotation))


def settings_page(models: Iterable[type[BaseSettings]]) -> str:
    """The Markdown page of all settings."""
    lines = [
        "# Settings",
        "",
        "Made by `tricorn gen` from the settings' definitions; every one is an environment variable.",
        "",
    ]
    for model in models:
        lines += [
            f"## {model.__module__}.{model.__qualname__}",
            "",
            (model.__doc__ or "").strip().replace("``", "`"),
            "",
        ]
        lines += ["| variable | type | default | what it does |", "| --- | --- | --- | --- |"]
        lines += [
            f"| `{variable}` | `{kind.replace('|', chr(92) + '|')}` | `{default}` | {text} |"
            for variable, kind, default, text in settings_rows(model)
        ]
        lines.append("")
    lines += ["## Read before a process has settings", "", "| variable | what it does |", "| --- | --- |"]
    lines += [f"| `{variable}` | {text} |" for variable, text in EARLY_VARIABLES.items()]
    return "\n".join(lines).rstrip() + "\n"
