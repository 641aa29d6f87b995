"""What a job is asked to do, and why an attempt at it failed: what is handed to the aggregate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from events.contracts.values import DEFAULT_QUEUE, FileRef, SealedText

RETENTION_SECONDS_DEFAULT = 7 * 24 * 3600
TIMEOUT_SECONDS_DEFAULT = 60.0
ATTEMPTS_DEFAULT = 5


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a client asks for, after validation and sealing."""

    owner: str
    tool: str
    tool_version: str
    options: SealedText
    inputs: Sequence[FileRef]
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    run_at: datetime | None = None
    labels: SealedText | None = None
    label_tokens: Sequence[str] = ()
    attempts_max: int = ATTEMPTS_DEFAULT
    timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT
    retention_seconds: int = RETENTION_SECONDS_DEFAULT
    queue_seconds_max: float | None = None
    retry: Mapping[str, Any] | None = None
    """See `RetryPolicy.terms`."""
    reservation: UUID | None = None
    schedule: UUID | None = None
    tick: datetime | None = None
    secrets: SealedText | None = None
    workflow: UUID | None = None
    step: str | None = None
    limit_key: str | None = None

    def fields(self) -> dict[str, Any]:
        """What a submission says of it, but for when it runs."""
        return {
            "owner": self.owner,
            "tool": self.tool,
            "tool_version": self.tool_version,
            "queue": self.queue,
            "priority": self.priority,
            "options": self.options,
            "inputs": [file.as_json() for file in self.inputs],
            "labels": self.labels,
            "label_tokens": list(self.label_tokens),
            "attempts_max": self.attempts_max,
            "timeout_seconds": self.timeout_seconds,
            "retention_seconds": self.retention_seconds,
            "queue_seconds_max": self.queue_seconds_max,
            "retry": None if self.retry is None else dict(self.retry),
            "reservation": _text(self.reservation),
            "schedule": _text(self.schedule),
            "tick": None if self.tick is None else self.tick.isoformat(),
            "secrets": self.secrets,
            "workflow": _text(self.workflow),
            "step": self.step,
            "limit_key": self.limit_key,
        }


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt ended without a result."""

    code: str
    message: SealedText
    permanent: bool


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
