"""The OpenAPI document of an application, for gateways that do not make it themselves."""

import json
from pathlib import Path
from typing import cast

from tricorn.contract import Level
from tricorn.gateway import Backend, GatewayConfig, Rate
from tricorn.gateway.openapi import openapi_document
from tricorn.gateway.transcode.binding import Binding
from tricorn.host.manifest import Manifest
from tricorn.supervise.serving import contract_comments, public_policies


def openapi_page(manifest: Manifest) -> str:
    """The document as the gateway in Python has it where the settings leave the limits as they are declared.

    Args:
        manifest: The application, activated.
    """
    config = GatewayConfig(
        backend=cast("Backend", None),  # nobody is asked
        policies=public_policies(manifest),
        title=manifest.application.title,
        version=manifest.application.version,
        roles=manifest.roles,
        rates={name: Rate(rate.limit, rate.period_seconds) for name, rate in manifest.rates.items()},
        comments=contract_comments(manifest),
    )
    shown = [policy for policy in config.policies if policy.level is not Level.INTERNAL]
    bindings = [Binding(policy, route) for policy in shown for route in policy.routes]
    return json.dumps(openapi_document(config, bindings), indent=1, ensure_ascii=False) + "\n"


def reader_pages() -> dict[str, str]:
    """The files of the page that shows the document, by name."""
    folder = Path(__file__).parents[1] / "gateway" / "pages"
    return {name: (folder / name).read_text() for name in ("docs.html", "docs.js", "docs.css")}
