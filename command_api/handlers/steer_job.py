"""Cancels jobs and tries them again; a cancel is also told to workers at once.

The event is what counts. The poke only saves a running tool the time until its worker's next beat.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from command_api.access import origin, require, require_job
from command_api.commands import Asked, CancelJob, ReprioritiseJob, RetryJob
from command_api.uniqueness import Uniqueness
from events.contracts.subjects import cancel_subject
from events.contracts.values import JobStatus, Origin
from events.domain.errors import JobNotFound, NotFound
from events.domain.job import Job
from events.store.repository import DECISIONS_MAX, Repository, StreamConflict
from infrastructure.broker import Broker
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from infrastructure.principals import Role


@dataclass(frozen=True, slots=True)
class SteeredJob:
    """What became of a job."""

    job_id: UUID
    status: JobStatus
    position: int


class SteerJobHandler:
    """Handles CancelJob, ReprioritiseJob and RetryJob."""

    def __init__(
        self, repository: Repository, unique: Uniqueness, broker: Broker, clock: Clock
    ) -> None:
        self._repository = repository
        self._unique = unique
        self._broker = broker
        self._clock = clock

    async def cancel(self, command: CancelJob) -> SteeredJob:
        """Call the job off; raises Forbidden, JobNotFound, JobIsFinal, LogUnavailable."""
        steered = await self._change(command, command.job_id, Job.cancel)
        self._broker.ring(cancel_subject(str(command.job_id)))
        return steered

    async def reprioritise(self, command: ReprioritiseJob) -> SteeredJob:
        """Change its priority; raises Forbidden, JobNotFound, JobIsFinal, JobNotWaiting, …."""
        return await self._change(
            command, command.job_id, lambda job, at: job.reprioritise(command.priority, at)
        )

    async def retry(self, command: RetryJob) -> SteeredJob:
        """Queue it again; raises Forbidden, JobNotFound, JobIsFinal, JobOfWorkflow, …."""
        require(command.principal, Role.CLIENT)
        for _ in range(DECISIONS_MAX):
            job = await self._load(command.job_id)
            require_job(command.principal, job)
            at = origin(command, str(uuid7()), self._clock, began=job.correlation_id)
            job.reopen(at)
            reservation = await self._unique.regain(job, at)
            also = () if reservation is None else (reservation,)
            try:
                saved = await self._repository.save(job, *also)
            except StreamConflict:
                continue
            return SteeredJob(job.id, job.status, saved.position)
        raise StreamConflict(StreamConflict.__doc__)

    async def _change(
        self, command: Asked, job_id: UUID, act: Callable[[Job, Origin], None]
    ) -> SteeredJob:
        require(command.principal, Role.CLIENT)

        def decide(job: Job) -> None:
            require_job(command.principal, job)
            act(job, origin(command, str(uuid7()), self._clock, began=job.correlation_id))

        try:
            job, saved = await self._repository.change(Job, job_id, decide)
        except JobNotFound:
            raise
        except NotFound:
            raise JobNotFound from None
        return SteeredJob(job_id, job.status, saved.position)

    async def _load(self, job_id: UUID) -> Job:
        try:
            return await self._repository.load(Job, job_id)
        except NotFound:
            raise JobNotFound from None
