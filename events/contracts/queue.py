"""The facts of a queue of one tenant: that somebody stopped it, and let it go on."""

from typing import ClassVar
from uuid import UUID, uuid5

from events.contracts.fact import Fact, FirstFact

_QUEUES = UUID("b0c5a6a1-3a55-5d0e-8f5b-61d8a5f2c904")
"""The namespace of queue ids; permanent."""


def queue_id(tenant: str, name: str) -> UUID:
    """The id of the queue's aggregate: the same for everybody who knows tenant and name."""
    return uuid5(_QUEUES, f"{tenant}\0{name}")


class QueueIntroduced(FirstFact):
    """Somebody steered this queue for the first time; jobs may have waited in it before."""

    TOPIC: ClassVar[str] = "magictoolbox.queue.introduced"

    queue: str


class QueuePaused(Fact):
    """No job of the tenant is started from this queue until it is resumed."""

    TOPIC: ClassVar[str] = "magictoolbox.queue.paused"

    queue: str


class QueueResumed(Fact):
    """Jobs of the tenant are started from this queue again."""

    TOPIC: ClassVar[str] = "magictoolbox.queue.resumed"

    queue: str
