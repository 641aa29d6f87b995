"""Live status in a real Redis: in step with the rows, and mended whenever Redis forgot."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from projectors import live_source, live_status
from projectors.batches import JobState
from projectors.live_feed import Change, LiveFeed
from projectors.live_source import LiveSource
from projectors.live_status import LiveStatus
from projectors.live_store import LiveStore
from projectors.progress import ProgressHeard
from projectors.read_models import live
from tests.factories.histories import Histories
from tests.integration.projectors.stage import Stage

RUNS_MAX = 200
JOB = UUID(int=7)


class Stand:
    """Live status on a stage, and the Redis that it writes."""

    def __init__(self, stage: Stage, redis: Redis) -> None:
        self.stage = stage
        self.redis = redis
        self.feed = LiveFeed()
        self.heard = ProgressHeard()
        self.active = True
        self.store = LiveStore(redis)
        self.status = LiveStatus(
            self.store,
            LiveSource(stage.pool, stage.pool),
            self.feed,
            self.heard,
            lambda: self.active,
        )

    async def run(self) -> None:
        """Run until there is nothing to do."""
        for _ in range(RUNS_MAX):
            counts = await self.status.run_once()
            if counts.is_idle and not counts.more:
                return

    async def project(self, jobs: int = 20, seed: int = 30) -> None:
        """Append a history and project it, all at once."""
        await self.stage.append(Histories(seed).log(jobs=jobs))
        at = await self.position_of_rows()
        await self.stage.project([await self.stage.log.read_after(at)])

    async def position_of_rows(self) -> int:
        """Where the read models stand."""
        found: int = await self.stage.value("SELECT min(position) FROM read_models.checkpoints")
        return found

    async def hash(self, job_id: UUID = JOB) -> dict[str, str]:
        """What Redis knows of a job."""
        found: dict[bytes, bytes] = await self.redis.hgetall(live.job_key(job_id))
        return {key.decode(): value.decode() for key, value in found.items()}

    async def assert_in_step(self) -> None:
        """Checkpoint and hashes say what the rows say."""
        assert await self.store.position() == await self.position_of_rows()
        connection = await self.stage.connect()
        rows = await connection.fetch("SELECT * FROM read_models.job_summary")
        for row in rows:
            found = await self.hash(row["job_id"])
            names = (live.STATUS, live.ATTEMPT, live.VERSION, live.POSITION)
            assert found == {name: str(row[name]) for name in names}


@pytest.fixture
async def stand(
    stage: Stage, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stand]:
    """An empty stage and an empty Redis; histories of tests are long over, but kept."""
    monkeypatch.setattr(live, "FINAL_SECONDS", 10**9)
    async with Redis.from_url(redis_url) as redis:
        yield Stand(stage, redis)


def job(position: int, **changes: Any) -> JobState:
    """The state of the one job."""
    fields = {"status": "running", "attempt": 1, "version": position, **changes}
    return JobState(job_id=JOB, position=position, **fields)


async def test_an_empty_redis_is_filled_from_the_rows(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_source, "PAGE_JOBS_MAX", 7)
    await stand.project()

    await stand.run()

    await stand.assert_in_step()


async def test_a_flush_is_noticed_and_mended(stand: Stand) -> None:
    await stand.project()
    await stand.run()

    await stand.redis.flushall()
    await stand.run()

    await stand.assert_in_step()


async def test_a_redis_that_came_back_older_catches_up(stand: Stand) -> None:
    await stand.project()
    await stand.run()
    await stand.redis.set(live.CHECKPOINT, 9)
    await stand.redis.hset(live.job_key(JOB), mapping={"status": "queued", "position": 2})

    await stand.project(jobs=5, seed=31)
    await stand.run()

    assert await stand.store.position() == await stand.position_of_rows()


async def test_a_redis_that_knows_of_a_future_is_filled_anew(stand: Stand) -> None:
    await stand.project()
    rows = await stand.stage.log.read_after(0)
    job_id = next(row.originator_id for row in rows if row.topic.endswith("job.submitted"))
    await stand.redis.set(live.CHECKPOINT, 10**6)
    await stand.redis.hset(live.job_key(job_id), mapping={"status": "x", "position": 10**6})

    await stand.run()

    await stand.assert_in_step()


async def test_what_is_fed_is_written_with_the_checkpoint(stand: Stand) -> None:
    await stand.run()

    stand.feed.offer(Change(0, 3, [job(2), job(3, status="succeeded")]))
    stand.feed.offer(Change(3, 5, ()))
    await stand.status.run_once()

    assert await stand.store.position() == 5
    assert await stand.hash() == {
        "status": "succeeded",
        "attempt": "1",
        "version": "3",
        "position": "3",
    }
    assert 0 < await stand.redis.ttl(live.job_key(JOB)) <= live.FINAL_SECONDS


async def test_a_missed_change_is_read_from_the_rows(stand: Stand) -> None:
    await stand.run()
    await stand.project()
    at = await stand.position_of_rows()

    stand.feed.offer(Change(at - 2, at, ()))
    await stand.run()

    await stand.assert_in_step()


async def test_an_old_change_does_not_undo_a_newer_one(stand: Stand) -> None:
    await stand.redis.set(live.CHECKPOINT, 0)
    await stand.store.apply(0, 9, [job(9, status="succeeded")])

    standing = await stand.store.apply(0, 4, [job(4)])

    assert standing == 9
    assert (await stand.hash())["status"] == "succeeded"


async def test_nothing_is_written_past_a_gap(stand: Stand) -> None:
    await stand.redis.set(live.CHECKPOINT, 2)

    assert await stand.store.apply(5, 6, [job(6)]) == 2

    assert await stand.hash() == {}


async def test_many_jobs_of_one_change_are_written_in_several_scripts(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projectors.live_store.JOBS_IN_SCRIPT_MAX", 3)
    await stand.redis.set(live.CHECKPOINT, 0)
    jobs = [JobState(UUID(int=n), "queued", 0, 1, n) for n in range(1, 9)]

    assert await stand.store.apply(0, 8, jobs) == 8

    assert len(await stand.redis.keys("*job:*")) == 8


async def test_progress_is_shown_until_the_attempt_is_over(stand: Stand) -> None:
    await stand.redis.set(live.CHECKPOINT, 0)
    await stand.store.apply(0, 1, [job(1)])

    await stand.store.tell({JOB: (1, 40.0, "halfway")})
    shown = await stand.hash()
    await stand.store.apply(1, 2, [job(2, status="succeeded")])

    assert (shown["percent"], shown["message"]) == ("40.0", "halfway")
    assert "percent" not in await stand.hash()


async def test_progress_of_another_attempt_is_ignored(stand: Stand) -> None:
    await stand.redis.set(live.CHECKPOINT, 0)
    await stand.store.apply(0, 1, [job(1, attempt=2)])

    await stand.store.tell({JOB: (1, 90.0, "late")})

    assert "percent" not in await stand.hash()


async def test_progress_of_a_job_that_redis_forgot_does_not_stay(stand: Stand) -> None:
    await stand.store.tell({JOB: (1, 90.0, "alone")})

    assert 0 < await stand.redis.ttl(live.job_key(JOB)) <= live.PROGRESS_SECONDS


async def test_only_the_active_one_writes(stand: Stand) -> None:
    await stand.project()
    stand.active = False

    await stand.run()

    assert await stand.store.position() is None


async def test_a_gap_too_long_to_look_up_is_filled(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_status, "HEAL_EVENTS_MAX", 10)
    await stand.run()
    await stand.project()
    stand.feed.offer(Change(70, 84, ()))

    await stand.run()

    await stand.assert_in_step()
