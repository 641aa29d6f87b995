"""Everything the query API may be told through its environment."""

from pydantic import Field

from infrastructure.settings import (
    BlobSettings,
    HttpSettings,
    NatsSettings,
    PostgresSettings,
    ProcessSettings,
    RedisSettings,
    SealingSettings,
    TokenSettings,
)


class QueryApiSettings(
    PostgresSettings,
    NatsSettings,
    RedisSettings,
    BlobSettings,
    TokenSettings,
    SealingSettings,
    HttpSettings,
    ProcessSettings,
):
    """Where the query API listens; its bases say the rest."""

    host: str = Field(default="127.0.0.1", description="Address the API listens on.")
    port: int = Field(default=8001, ge=0, le=65535, description="Port the API listens on.")
