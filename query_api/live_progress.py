"""Hears how far single jobs are, for those who follow them, straight from the workers.

One core subscription for each job that somebody follows, however many do. Nothing is stored, and
only the latest word waits: whoever reads slowly sees fewer steps, and no old ones.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import orjson
import structlog
from nats.aio.msg import Msg

from events.contracts.subjects import progress_subject
from infrastructure.broker import Broker, Listening
from query_api.views import ProgressView

MESSAGE_CHARACTERS_MAX: Final = 500

log = structlog.get_logger(__name__)


class Latest:
    """The latest word on one job that its follower has not read yet."""

    def __init__(self) -> None:
        self._told: ProgressView | None = None
        self.told = asyncio.Event()

    def tell(self, progress: ProgressView) -> None:
        """Put a newer one in its place."""
        self._told = progress
        self.told.set()

    def take(self) -> ProgressView | None:
        """Read it; None if there is none."""
        told, self._told = self._told, None
        self.told.clear()
        return told


class LiveProgress:
    """The followers of one process."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._followers: dict[UUID, set[Latest]] = {}
        self._listening: dict[UUID, Listening] = {}

    @asynccontextmanager
    async def follow(self, tenant: str, job_id: UUID) -> AsyncIterator[Latest]:
        """Hear of a job from before the body runs until after it."""
        latest = Latest()
        followers = self._followers.setdefault(job_id, set())
        followers.add(latest)
        try:
            if job_id not in self._listening and len(followers) == 1:
                subject = progress_subject(tenant, str(job_id))
                self._listening[job_id] = await self._broker.subscribe(subject, self._hear)
            yield latest
        finally:
            followers.discard(latest)
            if not followers:
                self._followers.pop(job_id, None)
                listening = self._listening.pop(job_id, None)
                if listening is not None:
                    await listening.unsubscribe()

    def _hear(self, message: Msg) -> None:
        try:
            job_id = UUID(message.subject.rpartition(".")[2])
            told = orjson.loads(message.data)
            progress = ProgressView(
                percent=told["percent"], message=str(told["message"])[:MESSAGE_CHARACTERS_MAX]
            )
        except (ValueError, KeyError, TypeError):
            log.warning("progress_unreadable", subject=message.subject)
            return
        for latest in self._followers.get(job_id, ()):
            latest.tell(progress)
