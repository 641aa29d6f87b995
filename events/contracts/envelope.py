"""A fact as it stands in the log: with its place and the time it was recorded."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from events.contracts.fact import AnyFact


@dataclass(frozen=True, slots=True)
class RecordedRow:
    """One row of the log, not decoded: what the relay publishes and auditors hash."""

    position: int
    originator_id: UUID
    originator_version: int
    topic: str
    state: bytes
    """The exact bytes that were appended."""
    tenant: str
    recorded_at: datetime
    """By the database's clock; never falls as positions grow."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One decoded fact of the log."""

    position: int
    fact: AnyFact
    recorded_at: datetime

    @property
    def originator_id(self) -> UUID:
        """The aggregate it happened to."""
        return self.fact.originator_id

    @property
    def version(self) -> int:
        """Its place in the aggregate's own history, from 1."""
        return self.fact.originator_version
