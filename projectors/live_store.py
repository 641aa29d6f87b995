"""Live status in Redis, written by scripts so that hashes and checkpoint move as one."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

import orjson
from redis.asyncio import Redis

from events.contracts.values import FINAL_STATUSES
from projectors.batches import JobState
from projectors.read_models import live

JOBS_IN_SCRIPT_MAX: Final = 500
"""A script holds up every other client of Redis, so it is kept short."""

_HERE: Final = Path(__file__).parent


class LiveStore:
    """What live status asks of Redis; raises what redis-py raises."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._apply = redis.register_script((_HERE / "live_apply.lua").read_text())
        self._progress = redis.register_script((_HERE / "live_progress.lua").read_text())

    async def position(self) -> int | None:
        """The checkpoint; None if there is none, as after a flush."""
        position = await self._redis.get(live.CHECKPOINT)
        return None if position is None else int(position)

    async def apply(self, after: int, position: int, jobs: Sequence[JobState]) -> int:
        """Write what lies between two positions; answers with the checkpoint, -1 if none.

        Nothing is written unless the checkpoint is at or behind `after` and before `position`.
        """
        chunks = list(_chunks(jobs)) or [()]
        for chunk in chunks[:-1]:
            standing = await self._run("apply", after, after, chunk)
            if standing < after:
                return standing
        return await self._run("apply", after, position, chunks[-1])

    async def fill(self, jobs: Sequence[JobState]) -> None:
        """Write hashes whatever they held; the checkpoint stays."""
        for chunk in _chunks(jobs):
            await self._run("fill", 0, 0, chunk)

    async def begin_at(self, position: int) -> None:
        """Set the checkpoint, after a fill."""
        await self._run("begin", 0, position, ())

    async def tell(self, progress: Mapping[UUID, tuple[int, float, str]]) -> None:
        """Write the attempt's percent and message for each job."""
        if progress:
            keys = [live.job_key(job_id) for job_id in progress]
            values = [value for told in progress.values() for value in told]
            await self._progress(keys, [live.PROGRESS_SECONDS, *values])

    async def forget_position(self) -> None:
        """Drop the checkpoint, so that whoever fails half-way fills everything again."""
        await self._redis.delete(live.CHECKPOINT)

    async def _run(self, mode: str, after: int, position: int, jobs: Sequence[JobState]) -> int:
        keys = [live.CHECKPOINT, *(live.job_key(job.job_id) for job in jobs)]
        # One argument for all jobs: the client spends a microsecond on each, whatever its size.
        states = [
            (job.status, job.attempt, job.version, job.position, job.status in FINAL_STATUSES)
            for job in jobs
        ]
        kept = (live.UNFINISHED_SECONDS, live.FINAL_SECONDS)
        return int(await self._apply(keys, [mode, after, position, *kept, orjson.dumps(states)]))


def _chunks(jobs: Sequence[JobState]) -> Iterable[Sequence[JobState]]:
    for start in range(0, len(jobs), JOBS_IN_SCRIPT_MAX):
        yield jobs[start : start + JOBS_IN_SCRIPT_MAX]
