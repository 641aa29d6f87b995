"""The shapes of requests and answers about queues and limits."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from command_api.bodies import RequestBody
from command_api.commands import JobsAtOnce, LimitKey
from events.contracts.limit import LimitScope
from events.domain.limit import Bounds

PER_SECONDS_MAX = 86_400.0


class QueueAccepted(BaseModel):
    """A queue that was steered."""

    queue: str
    paused: bool
    position: int = Field(description="Pass it as min_position to read your own write.")
    links: dict[str, str]


class LimitAccepted(BaseModel):
    """A limit that was set or removed."""

    limit_id: UUID
    position: int = Field(description="Pass it as min_position to read your own write.")
    links: dict[str, str]


class LimitBody(RequestBody):
    """A limit: which jobs of the tenant it counts, and how many of them it lets go."""

    scope: LimitScope
    name: LimitKey | None = Field(
        default=None,
        validate_default=True,
        description="A tool, or a limit key; without a name: each limit key by itself.",
    )
    concurrency: JobsAtOnce | None = Field(default=None, description="So many at once.")
    rate: JobsAtOnce | None = Field(
        default=None, validate_default=True, description="So many starts in `per_seconds`."
    )
    per_seconds: Annotated[float, Field(gt=0, le=PER_SECONDS_MAX, allow_inf_nan=False)] = 1.0

    @property
    def bounds(self) -> Bounds:
        """As the limit keeps them."""
        per_seconds = None if self.rate is None else self.per_seconds
        return Bounds(self.concurrency, self.rate, per_seconds)

    @field_validator("name")
    @classmethod
    def _names_what_it_counts(cls, name: str | None, info: ValidationInfo) -> str | None:
        scope = info.data.get("scope")
        if scope is LimitScope.TOOL and name is None:
            raise ValueError("name the tool")
        if scope is LimitScope.TENANT and name is not None:
            raise ValueError("a limit of all jobs has no name")
        return name

    @field_validator("rate")
    @classmethod
    def _limits_something(cls, rate: int | None, info: ValidationInfo) -> int | None:
        if rate is None and info.data.get("concurrency", 0) is None:
            raise ValueError("give concurrency or rate")
        return rate
