"""The base of our aggregates: the library's, with folding by one small method for each fact.

An aggregate declares `FOLDS`, a mapping from fact class to the name of the method that folds it.
A fact without an entry is an error at once, so that no history is ever half understood.
"""

from typing import Any, ClassVar

from eventsourcing.domain import Aggregate as LibraryAggregate

from events.contracts import catalogue  # noqa: F401  (facts must be registered first)
from events.contracts.fact import AnyFact


class Aggregate(LibraryAggregate):
    """One consistency boundary: it decides what may happen and folds what did."""

    TOPIC: ClassVar[str] = "magictoolbox.aggregate"
    FOLDS: ClassVar[dict[type[AnyFact], str]] = {}

    class Event(LibraryAggregate.Event):
        """The library wants a base class of its own; our facts stand in `events.contracts`."""

        TOPIC = "magictoolbox.aggregate.event"

    class Created(Event, LibraryAggregate.Created):
        """See `Event`."""

        TOPIC = "magictoolbox.aggregate.created"

    def evolve(self, fact: Any) -> None:
        """Fold one fact into the state."""
        getattr(self, self.FOLDS[type(fact)])(fact)

    def cause(self) -> str:
        """How a following event names the latest one as its cause."""
        return f"{self.id}/{self.version}"
