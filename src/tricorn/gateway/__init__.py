"""The public HTTP API: routes, rules and answers follow from the contracts alone."""

from tricorn.gateway.app import Gateway, create_app
from tricorn.gateway.config import (
    AuthConfig,
    Backend,
    CorsConfig,
    GatewayConfig,
    Limits,
    Mount,
    Observation,
    Observer,
    Rate,
)

__all__ = [
    "AuthConfig",
    "Backend",
    "CorsConfig",
    "Gateway",
    "GatewayConfig",
    "Limits",
    "Mount",
    "Observation",
    "Observer",
    "Rate",
    "create_app",
]
