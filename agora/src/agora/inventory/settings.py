"""The settings of inventory."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class InventorySettings(BaseSettings):
    """How long what nobody asks for any more stays held."""

    model_config = SettingsConfigDict(env_prefix="AGORA_INVENTORY_", extra="ignore")

    sweep_seconds: float = Field(
        1.0, gt=0, description="How long stock may stay held after its reservation has expired."
    )
