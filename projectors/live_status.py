"""Keeps live status in Redis in step with the read models, and mends it whenever Redis forgot.

The checkpoint lies in Redis and moves with the hashes, so a Redis that was flushed, restarted from
an older snapshot or failed over says so itself: the checkpoint is gone or behind, and what is
missing is read from Postgres. Nothing here can hold up or fail the projections in Postgres.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from uuid import UUID

import structlog

from infrastructure import metrics
from infrastructure.periodic import Counts
from projectors.batches import JobState
from projectors.live_feed import Change, LiveFeed
from projectors.live_source import LiveSource
from projectors.live_store import LiveStore
from projectors.progress import ProgressHeard

HEAL_EVENTS_MAX: Final = 20_000
"""What is missing beyond this is not looked up event by event: everything is filled anew."""

NAME: Final = "live"

log = structlog.get_logger(__name__)

_BEFORE_ALL: Final = UUID(int=0)


@dataclass(slots=True)
class _Filling:
    """How far a fill has come; `position` is where its rows are complete at least."""

    position: int
    after: UUID = _BEFORE_ALL


class LiveStatus:
    """The service; see `infrastructure.periodic.Service`. It rests while `is_active` says no."""

    name = "live_status"

    def __init__(
        self,
        store: LiveStore,
        source: LiveSource,
        feed: LiveFeed,
        progress: ProgressHeard,
        is_active: Callable[[], bool],
    ) -> None:
        self._store = store
        self._source = source
        self._feed = feed
        self._progress = progress
        self._is_active = is_active
        self._position: int | None = None
        self._filling: _Filling | None = None

    async def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close."""

    async def run_once(self) -> Counts:
        """Write what changed, or a page of what Redis has forgotten."""
        if not self._is_active():
            self._position = self._filling = None
            return Counts()
        try:
            return await self._run()
        except BaseException:
            # What Redis took of it is unknown.
            self._position = self._filling = None
            raise

    async def _run(self) -> Counts:
        if self._filling is not None:
            return await self._fill(self._filling)
        if self._position is None:
            return await self._heal()
        await self._store.tell(self._progress.take())
        changes = self._feed.take_all()
        if not changes:
            return await self._look(self._position)
        return await self._apply(self._position, changes)

    async def _apply(self, position: int, changes: Sequence[Change]) -> Counts:
        new = [change for change in changes if change.position > position]
        if not new:
            return Counts()
        is_whole = all(one.position == next_.after for one, next_ in pairwise(new))
        if new[0].after > position or not is_whole:
            return self._missed("changes_missed", position)
        jobs: dict[UUID, JobState] = {job.job_id: job for one in new for job in one.jobs}
        to = new[-1].position
        standing = await self._store.apply(position, to, list(jobs.values()))
        if standing != to:
            return self._missed("checkpoint_moved", standing)
        self._stand(to)
        return Counts(jobs=len(jobs))

    async def _look(self, position: int) -> Counts:
        """With nothing to do, see whether Redis still knows."""
        standing = await self._store.position()
        return Counts() if standing == position else self._missed("checkpoint_moved", standing)

    def _missed(self, why: str, standing: int | None) -> Counts:
        log.info("live_status_behind", why=why, standing=standing)
        self._position = None
        return Counts(missed=1, more=True)

    async def _heal(self) -> Counts:
        """Bring Redis up to where the rows are; a page of it at most."""
        to = await self._source.position()
        standing = await self._store.position()
        if standing is None or not 0 <= to - standing <= HEAL_EVENTS_MAX:
            log.info("live_status_filled_anew", standing=standing, position=to)
            await self._store.forget_position()
            self._filling = _Filling(to)
            return Counts(healed=1, more=True)
        jobs = await self._source.changed(standing, to)
        if await self._store.apply(standing, to, jobs) != to:
            return self._missed("checkpoint_moved", standing)
        self._stand(to)
        return Counts(healed=len(jobs), more=True)

    async def _fill(self, filling: _Filling) -> Counts:
        jobs = await self._source.page(filling.after)
        if jobs:
            await self._store.fill(jobs)
            filling.after = jobs[-1].job_id
            return Counts(filled=len(jobs), more=True)
        await self._store.begin_at(filling.position)
        self._filling = None
        self._stand(filling.position)
        return Counts(more=True)

    def _stand(self, position: int) -> None:
        self._position = position
        metrics.PROJECTION_POSITION.labels(NAME).set(position)
