"""The settings of payments."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class PaymentsSettings(BaseSettings):
    """The sandbox acquirer and the ledger's chain."""

    model_config = SettingsConfigDict(env_prefix="AGORA_PAYMENTS_", extra="ignore")

    slow_seconds: float = Field(2.0, ge=0, description="How long the sandbox acquirer takes for the method test_slow.")
    sign_after_seconds: float = Field(
        0.5, ge=0, description="How long bookings are gathered before they are signed together."
    )
    sign_idle_seconds: float = Field(
        5.0, gt=0, description="How often a process looks for bookings of others that nobody has signed."
    )
