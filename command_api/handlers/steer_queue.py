"""Stops a queue of the tenant, and lets it go on; what runs is not touched."""

from dataclasses import dataclass

from command_api.access import origin, require
from command_api.commands import SteerQueue
from events.contracts.queue import queue_id
from events.domain.errors import NotFound
from events.domain.queue import Queue
from events.store.repository import DECISIONS_MAX, Repository, StreamConflict
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from infrastructure.principals import Role


@dataclass(frozen=True, slots=True)
class SteeredQueue:
    """What became of a queue."""

    queue: str
    is_paused: bool
    position: int


class SteerQueueHandler:
    """Handles SteerQueue."""

    def __init__(self, repository: Repository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock

    async def __call__(self, command: SteerQueue) -> SteeredQueue:
        """Pause or resume it; raises Forbidden, QueueIsPaused, QueueIsNotPaused, …."""
        require(command.principal, Role.OPERATOR)
        for _ in range(DECISIONS_MAX):
            at = origin(command, str(uuid7()), self._clock)
            try:
                queue = await self._repository.load(Queue, queue_id(at.tenant, command.queue))
            except NotFound:
                # A queue is what jobs name: it may be paused before the first one comes.
                queue = Queue.introduce(command.queue, at)
            if command.pause:
                queue.pause(at)
            else:
                queue.resume(at)
            try:
                saved = await self._repository.save(queue)
            except StreamConflict:
                continue
            return SteeredQueue(queue.name, queue.is_paused, saved.position)
        raise StreamConflict(StreamConflict.__doc__)
