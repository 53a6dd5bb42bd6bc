"""The settings of accounts."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class AccountsSettings(BaseSettings):
    """Logins, keys, and the admin's pages."""

    model_config = SettingsConfigDict(env_prefix="AGORA_ACCOUNTS_", extra="ignore")

    login_window_seconds: int = Field(900, ge=1, description="The sliding window in which failed logins are counted.")
    account_attempts: int = Field(10, ge=1, description="Failed logins of one account in the window.")
    address_attempts: int = Field(
        100, ge=1, description="Failed logins from one address (IPv6: one /64) in the window."
    )
    hash_threads: int = Field(2, ge=1, le=64, description="Passwords that are hashed at once; each takes 19 MiB.")
    write_connections: int = Field(3, ge=1, le=64, description="Database connections of one process for its writes.")
    admin_connections: int = Field(2, ge=1, le=64, description="Database connections of one process for the admin.")
    allowed_hosts: list[str] = Field(
        [], description='Names the admin may be asked for by, as JSON: ["shop.example"]. Empty: any.'
    )
    trusted_origins: list[str] = Field(
        [],
        description='Origins of the admin behind a proxy that ends TLS and does not say so: ["https://shop.example"].',
    )
