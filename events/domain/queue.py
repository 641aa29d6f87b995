"""The queue of a tenant: whether its jobs may be started."""

from typing import ClassVar, Self

from events.contracts import queue as facts
from events.contracts.fact import AnyFact
from events.contracts.values import Origin
from events.domain.aggregate import Aggregate
from events.domain.errors import QueueIsNotPaused, QueueIsPaused


class Queue(Aggregate):
    """One tenant's queue of a name; its id is known to everybody, see `contracts.queue.queue_id`.

    It begins when somebody steers it: a queue that nobody ever paused has no history, and runs.
    """

    TOPIC = "magictoolbox.queue"
    FOLDS: ClassVar[dict[type[AnyFact], str]] = {
        facts.QueueIntroduced: "_introduced",
        facts.QueuePaused: "_paused",
        facts.QueueResumed: "_resumed",
    }

    class Event(Aggregate.Event):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.queue.event"

    class Created(Event, Aggregate.Created):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.queue.created"

    @classmethod
    def introduce(cls, name: str, origin: Origin) -> Self:
        """Begin the history of a queue."""
        return cls._create(
            facts.QueueIntroduced,
            id=facts.queue_id(origin.tenant, name),
            queue=name,
            **origin.fields(),
        )

    def pause(self, origin: Origin) -> None:
        """Start no job of it until it is resumed; what runs, runs on."""
        if self.is_paused:
            raise QueueIsPaused(queue=self.name)
        self.trigger_event(facts.QueuePaused, queue=self.name, **origin.fields())

    def resume(self, origin: Origin) -> None:
        """Let its jobs be started again."""
        if not self.is_paused:
            raise QueueIsNotPaused(queue=self.name)
        self.trigger_event(facts.QueueResumed, queue=self.name, **origin.fields())

    def _introduced(self, fact: facts.QueueIntroduced) -> None:
        self.tenant = fact.tenant
        self.name = fact.queue
        self.is_paused = False

    def _paused(self, fact: facts.QueuePaused) -> None:
        self.is_paused = True

    def _resumed(self, fact: facts.QueueResumed) -> None:
        self.is_paused = False
