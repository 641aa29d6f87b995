"""The values that facts are made of, and the states that they add up to."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType, Self

PLATFORM_TENANT = "platform"
"""The tenant of what belongs to nobody, such as the tool catalogue."""

DEFAULT_QUEUE = "default"

Position = NewType("Position", int)
"""A place in the log: 1, 2, 3, … in commit order, without holes."""

SealedText = NewType("SealedText", str)
"""Text that only the holder of the job's key can read; see `events.store.sealing`."""


class JobStatus(StrEnum):
    """Where a job is in its life."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens unless somebody asks for it."""
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class FileRef:
    """One file, by what is known of it; its bytes lie in the blob store."""

    name: SealedText
    """The display name, sealed with the key of the job (or upload) under field `name`."""
    media_type: str
    size_bytes: int
    sha256: str
    """Hexadecimal."""
    blob_key: str

    def as_json(self) -> dict[str, Any]:
        """The form a fact carries."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read the form a fact carries; fields that a later version added are left aside."""
        return cls(**{name: value[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Origin:
    """Who and what brought a fact about: the envelope fields of one command."""

    tenant: str
    actor: str
    command_id: str
    correlation_id: str
    causation_id: str
    at: datetime
    """When it occurred, by the clock of the process that decided; time zone aware."""

    def fields(self) -> dict[str, Any]:
        """As keyword arguments for a fact."""
        return {
            "tenant": self.tenant,
            "actor": self.actor,
            "command_id": self.command_id,
            "correlation_id": self.correlation_id,
            "causation_id": self.causation_id,
            "timestamp": self.at,
        }
