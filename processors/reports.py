"""Records what became of an attempt: once, under its lease, however long the log is away.

A finished result is not thrown away because Postgres restarts: the report is made again until the
log takes it, or refuses it because the lease is no longer valid. When it is unknown whether a
report was recorded, the log itself tells: every report carries an id of its own.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final
from uuid import UUID

import structlog

from events.contracts.values import Origin
from events.domain.errors import StaleLease
from events.domain.job import Job
from events.store.codec import Codec
from events.store.log import Log
from events.store.repository import LogUnavailable, OutcomeUnknown, Repository, StreamConflict
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from infrastructure.periodic import pause_seconds
from infrastructure.postgres import UNAVAILABLE

PAUSE_SECONDS_MAX: Final = 3.0
REFUSALS_TRIED_MAX: Final = 10

Decide = Callable[[Job, Origin], None]

log = structlog.get_logger(__name__)


class Reports:
    """Writes outcomes on behalf of one worker."""

    def __init__(self, repository: Repository, log: Log, worker: str, clock: Clock) -> None:
        self.worker = worker
        self._actor = f"worker:{worker}"
        self._repository = repository
        self._log = log
        self._clock = clock
        self._codec = Codec()

    def origin(self, job: Job, command_id: str = "") -> Origin:
        """What every event of this worker says of itself."""
        return Origin(
            tenant=job.tenant,
            actor=self._actor,
            command_id=command_id or str(uuid7()),
            correlation_id=job.correlation_id,
            causation_id=job.cause(),
            at=self._clock.now(),
        )

    async def claim(self, job: Job, isolation: str, tool_version: str | None = None) -> bool:
        """Start an attempt; False if somebody else was faster. Raises LogUnavailable."""
        origin = self.origin(job)
        job.start_attempt(self.worker, isolation, origin, tool_version)
        try:
            await self._repository.save(job)
        except StreamConflict:
            return False
        except OutcomeUnknown:
            if not await self._is_recorded(job.id, origin.command_id):
                raise
        return True

    async def record(self, job: Job, decide: Decide) -> Job | None:
        """Record a decision that holds only under the lease; None if that is no longer valid.

        There is no limit to the tries: the lease is kept alive meanwhile, and losing it ends them.
        """
        command_id = str(uuid7())
        is_in_doubt = False
        for pause in _pauses():
            try:
                decide(job, self.origin(job, command_id))
                await self._repository.save(job)
                return job
            except StaleLease:
                is_ours = is_in_doubt and await self._is_recorded(job.id, command_id)
                return job if is_ours else None
            except StreamConflict:
                pass
            except LogUnavailable as error:
                is_in_doubt = is_in_doubt or isinstance(error, OutcomeUnknown)
                log.warning("report_delayed", job_id=str(job.id), error=type(error).__name__)
                await asyncio.sleep(pause)
            job = await self._loaded(job.id)
        raise AssertionError("the pauses never end")

    async def refuse(self, job_id: UUID, lease: int, outcome: str) -> None:
        """Put on record that an outcome came too late."""

        def decide(job: Job) -> None:
            job.refuse_outcome(lease, outcome, self.worker, self.origin(job))

        for attempt, pause in enumerate(_pauses(), start=1):
            try:
                await self._repository.change(Job, job_id, decide)
                return
            except LogUnavailable:
                if attempt == REFUSALS_TRIED_MAX:
                    log.warning("refusal_not_recorded", job_id=str(job_id), lease=lease)
                    return
                await asyncio.sleep(pause)

    async def _loaded(self, job_id: UUID) -> Job:
        for pause in _pauses():
            try:
                return await self._repository.load(Job, job_id)
            except LogUnavailable:
                await asyncio.sleep(pause)
        raise AssertionError("the pauses never end")

    async def _is_recorded(self, job_id: UUID, command_id: str) -> bool:
        for pause in _pauses():
            try:
                rows = await self._log.read_stream(job_id)
            except UNAVAILABLE:
                await asyncio.sleep(pause)
                continue
            return any(self._codec.decode_row(row).fact.command_id == command_id for row in rows)
        raise AssertionError("the pauses never end")


def _pauses() -> Iterator[float]:
    """Growing, jittered pauses, for ever."""
    failures = 0
    while True:
        failures += 1
        yield pause_seconds(failures, PAUSE_SECONDS_MAX)
