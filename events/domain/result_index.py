"""The index of a result: which job makes, or has made, the result of the same request.

Whether there is a result to give is the maker's to say, when somebody asks: it may still run, have
failed, or have given up its files.
"""

from datetime import datetime
from typing import ClassVar, Self
from uuid import UUID

from events.contracts import result as facts
from events.contracts.fact import AnyFact
from events.contracts.values import JobStatus, Origin
from events.domain.aggregate import Aggregate
from events.domain.job import Job


class ResultIndex(Aggregate):
    """One request, by its content; its id is known to everybody, see `contracts.result`."""

    TOPIC = "magictoolbox.result"
    FOLDS: ClassVar[dict[type[AnyFact], str]] = {
        facts.ResultSought: "_sought",
        facts.ResultSoughtAnew: "_sought",
    }

    class Event(Aggregate.Event):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.result.event"

    class Created(Event, Aggregate.Created):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.result.created"

    @classmethod
    def seek(cls, index_id: UUID, maker: UUID, origin: Origin) -> Self:
        """Name the first job that is to make this result."""
        return cls._create(facts.ResultSought, id=index_id, maker=str(maker), **origin.fields())

    def seek_anew(self, maker: UUID, origin: Origin) -> None:
        """Name another one, as the one before it has nothing to give."""
        self.trigger_event(facts.ResultSoughtAnew, maker=str(maker), **origin.fields())

    def _sought(self, fact: facts.ResultSought | facts.ResultSoughtAnew) -> None:
        self.tenant = fact.tenant
        self.maker = UUID(fact.maker)


def has_result(maker: Job, now: datetime) -> bool:
    """Whether the job has a result that may be given to another.

    What another version of the tool made is not what was asked for.
    """
    is_kept = maker.expires_at is not None and now < maker.expires_at and not maker.result_expired
    is_as_asked = maker.version_run == maker.tool_version
    return maker.status is JobStatus.SUCCEEDED and is_kept and is_as_asked
