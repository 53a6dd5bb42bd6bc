"""Whether a contract has effects: what it is verified by, and what its evidence must hold, hangs on it."""

from tricorn.contract import service_policies
from tricorn.host.manifest import Manifest
from tricorn.prove.sources import owner_of


def has_effects(manifest: Manifest, contract: str) -> bool:
    """Whether a contract has methods with effects, and a database in which these can be seen. The application is active."""
    return manifest.contexts[owner_of(manifest, contract)].database and any(
        not policy.safe and not (policy.client_streaming or policy.server_streaming)
        for policy in service_policies(contract)
    )
