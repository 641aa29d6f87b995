"""The base of every fact: what an auditor must know of any event, whatever it says.

A fact is one of the eventsourcing library's frozen event classes. Its stored form is the JSON
object of its fields without the aggregate's id and version, which have columns of their own.
Fields hold only JSON values (and the library's `timestamp`), so that every reader decodes them
without our code.
"""

from typing import Any, ClassVar

from eventsourcing.domain import AggregateCreated, AggregateEvent


class Fact(AggregateEvent):
    """Something that happened to an aggregate, told in the past tense."""

    TOPIC: ClassVar[str] = "magictoolbox.fact"

    tenant: str
    """Whose it is; `platform` for what belongs to no tenant."""
    actor: str
    """Who did it: an opaque id such as `user:<uuid>`, `worker:<uuid>` or `clock`."""
    command_id: str
    """Which command: unique for each append, the same for all of its events."""
    correlation_id: str
    """The request id that began the walk; the same in every event of a job."""
    causation_id: str
    """What led to it: a request id, or `<aggregate id>/<version>` of the event before."""

    def apply(self, aggregate: Any) -> None:
        """Let the aggregate fold this fact; see `evolve` there."""
        aggregate.evolve(self)


class FirstFact(AggregateCreated):
    """A fact that begins an aggregate."""

    TOPIC: ClassVar[str] = "magictoolbox.first_fact"

    tenant: str
    """Whose it is; `platform` for what belongs to no tenant."""
    actor: str
    """Who did it: an opaque id such as `user:<uuid>`, `worker:<uuid>` or `clock`."""
    command_id: str
    """Which command: unique for each append, the same for all of its events."""
    correlation_id: str
    """The request id that began the walk; the same in every event of a job."""
    causation_id: str
    """What led to it: a request id, or `<aggregate id>/<version>` of the event before."""

    def apply(self, aggregate: Any) -> None:
        """Let the aggregate fold this fact; see `evolve` there."""
        aggregate.evolve(self)


AnyFact = Fact | FirstFact
