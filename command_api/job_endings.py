"""Waits for the end of jobs, for requests that prefer an answer to a receipt.

One subscription per process hears of every ending, as long as anybody waits. It is opened before
the job is recorded, and the job's own history is read after: between the two nothing is missed.
What NATS says is only a reason to look; without NATS the history is read now and then.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from nats.aio.msg import Msg

from events.contracts import job as facts
from events.contracts.subjects import HEADER_AGGREGATE, events_of
from events.domain.job import Job
from events.store.log import Log
from events.store.repository import LogUnavailable, Repository
from infrastructure.broker import UNAVAILABLE, Broker, Listening
from infrastructure.postgres import UNAVAILABLE as LOG_AWAY

WAIT_SECONDS_MAX: Final = 30
WAITERS_MAX: Final = 1_000
LINGER_SECONDS: Final = 30.0
"""How long the subscription stays open after the last waiter, for the next one."""
POLL_SECONDS: Final = 0.25
"""How often histories are read while NATS is away."""
SAFETY_POLL_SECONDS: Final = 2.0
SUBSCRIBED_SECONDS_MAX: Final = 0.5

ENDINGS: Final = (
    facts.AttemptSucceeded,
    facts.ResultReused,
    facts.AttemptFailed,
    facts.AttemptExpired,
    facts.JobWaitExpired,
    facts.JobCancelled,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """A job that has ended, and where in the log it did."""

    job: Job
    position: int


class JobEndings:
    """The waiters of one process."""

    def __init__(self, broker: Broker, log: Log, repository: Repository) -> None:
        self._broker = broker
        self._log = log
        self._repository = repository
        self._waiting: dict[UUID, list[asyncio.Event]] = {}
        self._waiters = 0
        self._listening: list[Listening] = []
        self._opening = asyncio.Lock()
        self._closing: asyncio.Task[None] | None = None
        self._is_released = False

    @property
    def is_full(self) -> bool:
        """Whether no further waiter is taken."""
        return self._waiters >= WAITERS_MAX

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[None]:
        """Hear of endings from before the body runs until after it."""
        self._waiters += 1
        try:
            await self._open()
            yield
        finally:
            self._waiters -= 1
            if not self._waiters and self._closing is None:
                self._closing = asyncio.create_task(self._close_later(), name="job endings")

    async def ending(self, job_id: UUID, seconds: float) -> Ending | None:
        """The job as it ended, or None if that was not seen within so many seconds.

        A log that cannot be read is no error here: the job was accepted all the same.
        """
        told = asyncio.Event()
        self._waiting.setdefault(job_id, []).append(told)
        try:
            async with asyncio.timeout(seconds):
                return await self._until_ended(job_id, told)
        except (TimeoutError, LogUnavailable):
            return None
        finally:
            self._leave(job_id, told)

    def release(self) -> None:
        """Let everybody go who waits, now and later: the process is about to end."""
        self._is_released = True
        for waiting in self._waiting.values():
            for told in waiting:
                told.set()

    async def close(self) -> None:
        """Hear no more."""
        if self._closing is not None:
            self._closing.cancel()
        await self._unsubscribe()

    async def _until_ended(self, job_id: UUID, told: asyncio.Event) -> Ending | None:
        while True:
            told.clear()
            ending = await self._read(job_id)
            if ending is not None or self._is_released:
                return ending
            try:
                async with asyncio.timeout(self._patience()):
                    await told.wait()
            except TimeoutError:
                continue

    def _patience(self) -> float:
        return SAFETY_POLL_SECONDS if self._broker.connected else POLL_SECONDS

    async def _read(self, job_id: UUID) -> Ending | None:
        try:
            rows = await self._log.read_stream(job_id)
        except LOG_AWAY as error:
            raise LogUnavailable(LogUnavailable.__doc__) from error
        job = self._repository.fold(Job, rows)
        return Ending(job, rows[-1].position) if job.status.is_final else None

    def _leave(self, job_id: UUID, told: asyncio.Event) -> None:
        waiting = self._waiting[job_id]
        waiting.remove(told)
        if not waiting:
            del self._waiting[job_id]

    def _hear(self, message: Msg) -> None:
        aggregate = (message.headers or {}).get(HEADER_AGGREGATE)
        if aggregate is None:
            return
        for told in self._waiting.get(UUID(aggregate), ()):
            told.set()

    async def _open(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        async with self._opening:
            if self._listening:
                return
            for fact in ENDINGS:
                subject = events_of(fact.TOPIC)
                self._listening.append(await self._broker.subscribe(subject, self._hear))
            await self._subscribed()

    async def _subscribed(self) -> None:
        """The server answers in order: after its pong the subscriptions are in force."""
        if not self._broker.connected:
            return
        try:
            async with asyncio.timeout(SUBSCRIBED_SECONDS_MAX):
                await self._broker.client.flush()
        except UNAVAILABLE as error:
            log.debug("subscription_not_confirmed", error=repr(error))

    async def _close_later(self) -> None:
        await asyncio.sleep(LINGER_SECONDS)
        self._closing = None
        await self._unsubscribe()

    async def _unsubscribe(self) -> None:
        async with self._opening:
            listening, self._listening = self._listening, []
            for each in listening:
                await each.unsubscribe()
