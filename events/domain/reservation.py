"""The reservation: a key that one job holds at a time.

A holder never has to let go: whoever comes next is shown the holder and decides. So nothing is left
behind when a holder is killed, erased or forgotten.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Self
from uuid import UUID

from events.contracts import reservation as facts
from events.contracts.fact import AnyFact
from events.contracts.values import Origin
from events.domain.aggregate import Aggregate
from events.domain.job import Job


class Scope(StrEnum):
    """Among which jobs of a tenant there may be one with a key."""

    TOOL = "tool"
    QUEUE = "queue"
    TENANT = "tenant"


class Until(StrEnum):
    """How long a job holds its key."""

    FINISHED = "finished"
    STARTED = "started"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Hold:
    """A job's wish to hold a key."""

    holder: UUID
    until: Until
    seconds: float | None = None
    """How long, if that is a matter of time."""

    def expires_at(self, now: datetime) -> str | None:
        """When the job lets go, if that is a matter of time."""
        return None if self.seconds is None else (now + timedelta(seconds=self.seconds)).isoformat()


class Reservation(Aggregate):
    """One key within its scope; its id is known to everybody, see `contracts.reservation`."""

    TOPIC = "magictoolbox.reservation"
    FOLDS: ClassVar[dict[type[AnyFact], str]] = {
        facts.KeyReserved: "_held",
        facts.KeyTakenOver: "_held",
    }

    class Event(Aggregate.Event):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.reservation.event"

    class Created(Event, Aggregate.Created):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.reservation.created"

    @classmethod
    def reserve(cls, reservation_id: UUID, scope: Scope, hold: Hold, origin: Origin) -> Self:
        """Take a key that nobody has ever held."""
        return cls._create(
            facts.KeyReserved,
            id=reservation_id,
            scope=scope.value,
            holder=str(hold.holder),
            until=hold.until.value,
            expires_at=hold.expires_at(origin.at),
            **origin.fields(),
        )

    def take_over(self, hold: Hold, origin: Origin) -> None:
        """Take the key after its holder has let go; see `is_held_by`."""
        self.trigger_event(
            facts.KeyTakenOver,
            holder=str(hold.holder),
            until=hold.until.value,
            expires_at=hold.expires_at(origin.at),
            **origin.fields(),
        )

    def is_held_by(self, holder: Job, now: datetime) -> bool:
        """Whether its holder, as it stands, still keeps others away."""
        if holder.id != self.holder:
            return False
        if self.expires_at is not None:
            return now < self.expires_at
        if self.until is Until.STARTED:
            return not holder.status.is_final and holder.first_began is None
        return not holder.status.is_final

    def _held(self, fact: facts.KeyReserved | facts.KeyTakenOver) -> None:
        self.tenant = fact.tenant
        self.holder = UUID(fact.holder)
        self.until = Until(fact.until)
        self.expires_at = datetime.fromisoformat(fact.expires_at) if fact.expires_at else None
