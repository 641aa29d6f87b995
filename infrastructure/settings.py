"""Settings fragments: what a process may be told through its environment (or a `.env` file).

Each process composes the fragments that it needs and reads them once, in its `main.py`; nothing
here is an instance. A value that cannot work is refused at start, with the name of the variable.
"""

from typing import Literal, Self

from pydantic import Field, PostgresDsn, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SECRET_BYTES_MIN = 32
# RFC 7518, 3.2: a key as long as the digest.
KEY_BYTES_MIN = {"HS256": 32, "HS384": 48, "HS512": 64}


class Fragment(BaseSettings):
    """The base of every fragment: flat names, `.env` beside the process, unknown names ignored."""

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
    )


class PostgresSettings(Fragment):
    """Where the log and the read models live."""

    database_url: PostgresDsn = Field(
        description="PostgreSQL 15 or later: the event log, accounts, keys and work."
    )
    read_database_url: PostgresDsn | None = Field(
        default=None, description="Where the read models live; the same database if unset."
    )
    database_pool_size: int = Field(
        default=8, ge=1, le=200, description="Connections each process keeps at most."
    )
    database_timeout_seconds: float = Field(
        default=10.0, gt=0, le=300, description="How long one statement may take."
    )

    @property
    def dsn(self) -> str:
        """The address of the log, as libpq writes it."""
        return plain_dsn(self.database_url)

    @property
    def read_dsn(self) -> str:
        """The address of the read models, as libpq writes it."""
        return plain_dsn(self.read_database_url or self.database_url)


def plain_dsn(url: PostgresDsn) -> str:
    """Drop a SQLAlchemy driver suffix, so that `postgresql+asyncpg://` is accepted too."""
    scheme, _, rest = str(url).partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"


class NatsSettings(Fragment):
    """Where the bell hangs."""

    nats_url: str = Field(default="nats://127.0.0.1:4222", description="NATS 2.12 or later.")
    events_stream_bytes_max: int = Field(
        default=8 * 1024**3,
        ge=1024**2,
        description="Size limit of the stream EVENTS; the oldest go first, the log keeps them.",
    )
    nats_stream_replicas: int = Field(
        default=1, ge=1, le=5, description="Servers that hold each stream; 3 in a cluster."
    )


class RedisSettings(Fragment):
    """Where the cache is."""

    redis_url: str = Field(default="redis://127.0.0.1:6379/0", description="Redis 7 or Valkey.")


class BlobSettings(Fragment):
    """Where the bytes of files live."""

    blob_url: str = Field(
        default="file:///var/lib/magictoolbox/blobs",
        description="`file:///folder`; `s3://bucket/prefix` is not served yet.",
    )


class TokenSettings(Fragment):
    """How access tokens are signed."""

    secret_key: SecretStr = Field(
        description="Signs access tokens; at least 32 bytes. No default: a known key is no key."
    )
    jwt_algorithm: Literal["HS256", "HS384", "HS512"] = Field(
        default="HS256", description="The one algorithm that is accepted."
    )
    access_token_expire_minutes: int = Field(
        default=30, ge=1, le=24 * 60, description="How long an access token is good for."
    )
    refresh_token_expire_days: int = Field(
        default=14, ge=1, le=365, description="How long a login can be renewed without a password."
    )

    @model_validator(mode="after")
    def _key_fits_the_algorithm(self) -> Self:
        least = KEY_BYTES_MIN[self.jwt_algorithm]
        if len(self.secret_key.get_secret_value().encode()) < least:
            raise ValueError(f"SECRET_KEY needs at least {least} bytes for {self.jwt_algorithm}")
        return self


class SealingSettings(Fragment):
    """What wraps the keys that seal personal data in the log."""

    sealing_key: SecretStr = Field(
        description="Wraps the key of every job; at least 32 bytes, never the SECRET_KEY."
    )
    sealing_key_version: int = Field(default=1, ge=1, description="Raised when the key rotates.")

    @field_validator("sealing_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value().encode()) < SECRET_BYTES_MIN:
            raise ValueError(f"needs at least {SECRET_BYTES_MIN} bytes")
        return value


class ScannerSettings(Fragment):
    """Who looks for viruses."""

    clamd_url: str | None = Field(
        default=None,
        description="`tcp://host:port` or `unix:///path` of clamd; unset: uploads are not scanned,"
        " nor is what tools take out of an encryption.",
    )


class UploadSettings(Fragment):
    """What an upload may be."""

    max_upload_size: int = Field(
        default=52_428_800, ge=1, description="Bytes of one request's files together."
    )
    upload_files_max: int = Field(default=50, ge=1, le=1000, description="Files in one request.")
    upload_idle_seconds: float = Field(
        default=20.0, gt=0, description="Silence after which an upload is given up (408)."
    )
    upload_seconds_max: float = Field(
        default=600.0, gt=0, description="Time after which an upload is given up (408)."
    )
    uploads_at_once_max: int = Field(
        default=50,
        ge=1,
        description="Uploads that one user has under way in one process; one more gets 429.",
    )


class HttpSettings(Fragment):
    """How the two APIs name themselves and whom they allow."""

    command_public_url: str = Field(
        default="http://127.0.0.1:8000", description="The command API as clients reach it."
    )
    query_public_url: str = Field(
        default="http://127.0.0.1:8001", description="The query API as clients reach it."
    )
    cors_allowed_origins: str | None = Field(
        default=None, description="Comma-separated; unset: only the other API's origin."
    )
    requests_per_minute: int = Field(
        default=60_000, ge=1, description="Requests one principal may make in a minute."
    )

    @field_validator("command_public_url", "query_public_url")
    @classmethod
    def _no_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/")

    def origins(self, other: str) -> list[str]:
        """The origins CORS allows; `other` is the public address of the other API."""
        if self.cors_allowed_origins is None:
            return [other]
        return [o.strip() for o in self.cors_allowed_origins.split(",") if o.strip()]


class LoggingSettings(Fragment):
    """How loud the logs are."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The quietest level that is written."
    )


class AdministratorSettings(Fragment):
    """The first administrator, made at start when both are set and no such user exists."""

    admin_username: str | None = Field(
        default=None, description="Name of the first administrator, in the tenant `default`."
    )
    admin_password: SecretStr | None = Field(
        default=None, description="Password of the first administrator, used once."
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.admin_username is None) != (self.admin_password is None):
            raise ValueError("ADMIN_USERNAME and ADMIN_PASSWORD go together")
        return self


class ProcessSettings(LoggingSettings):
    """What every process has: a log level and a place for its health and metrics."""

    health_host: str = Field(
        default="127.0.0.1", description="Where workers and projectors serve health and metrics."
    )
    health_port: int = Field(
        default=0, ge=0, le=65535, description="Of workers and projectors; 0: a free one."
    )
