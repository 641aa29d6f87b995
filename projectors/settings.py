"""What the projector process is told through its environment."""

from typing import Literal

from pydantic import Field

from infrastructure.settings import (
    NatsSettings,
    PostgresSettings,
    ProcessSettings,
    RedisSettings,
)


class ProjectorSettings(PostgresSettings, NatsSettings, RedisSettings, ProcessSettings):
    """All that the projector is told."""

    projector_batch_events_max: int = Field(
        default=500, ge=1, le=5_000, description="Events that one transaction applies."
    )
    projector_unknown_topics: Literal["stop", "skip"] = Field(
        default="stop",
        description="What to do with events of a newer version: stop, or skip and count them.",
    )
