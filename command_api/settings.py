"""Everything the command API may be told through its environment."""

from pydantic import Field

from infrastructure.settings import (
    AdministratorSettings,
    BlobSettings,
    HttpSettings,
    NatsSettings,
    PostgresSettings,
    ProcessSettings,
    RedisSettings,
    ScannerSettings,
    SealingSettings,
    TokenSettings,
    UploadSettings,
)


class CommandApiSettings(
    PostgresSettings,
    NatsSettings,
    RedisSettings,
    BlobSettings,
    TokenSettings,
    SealingSettings,
    UploadSettings,
    ScannerSettings,
    HttpSettings,
    AdministratorSettings,
    ProcessSettings,
):
    """The fragments this process is made of, and where it listens."""

    host: str = Field(default="127.0.0.1", description="Address the API listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port the API listens on.")
