"""The clock: due jobs, silent leases, expired files, and what it must not do."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from events.contracts.values import FileRef, JobStatus
from events.domain.errors import NotFound
from events.domain.job import Job
from events.domain.upload import Upload
from infrastructure.clock import SystemClock
from infrastructure.ids import uuid7
from tests.factories.tools import Gate
from tests.fixtures.databases import DatabaseFactory
from tests.fixtures.events import origin
from tests.fixtures.servers import Server, ServerFactory
from tests.integration.processors.floor import QUICK, Floor, opened

SUCCEEDED, QUEUED, RUNNING = JobStatus.SUCCEEDED, JobStatus.QUEUED, JobStatus.RUNNING
LEASE = float(QUICK["lease_seconds"])


def in_seconds(seconds: float) -> object:
    return SystemClock().now() + timedelta(seconds=seconds)


async def running(floor: Floor, **changes: Any) -> Job:
    """A job that was claimed by a worker that does not beat."""
    return await floor.submit(
        then=lambda job: job.start_attempt("worker:gone", "L0", origin()), **changes
    )


async def test_a_scheduled_job_is_queued_when_its_time_comes(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.clock()

    job = await floor.submit(job_run_at=in_seconds(0.6))

    assert (await floor.load(job)).status is JobStatus.SCHEDULED
    await floor.until_status(job, QUEUED)
    submitted, due = await floor.history(job)
    assert due.recorded_at - submitted.recorded_at >= timedelta(seconds=0.5)


async def test_a_job_that_waits_too_long_for_a_worker_fails(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.clock()

    late = await floor.submit(job_queue_seconds_max=0.3)
    patient = await floor.submit(job_queue_seconds_max=600.0)
    ended = await floor.until_status(late, JobStatus.FAILED)

    assert ended.error_code == "QUEUE_TIMEOUT"
    assert await floor.topics(late) == ["submitted", "wait_expired"]
    await floor.until(lambda: no_rows(floor, "timers", but=1), "the timer stays")
    await floor.worker()
    await floor.until_status(patient, SUCCEEDED)
    await floor.until(lambda: no_rows(floor, "timers"), "the timer stays")


async def test_a_job_for_later_may_wait_from_then_on(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.clock()

    job = await floor.submit(job_run_at=in_seconds(0.4), job_queue_seconds_max=0.3)

    await floor.until_status(job, JobStatus.FAILED)
    assert await floor.topics(job) == ["submitted", "due", "wait_expired"]


async def test_many_jobs_fall_due_in_batches(floor: Floor) -> None:
    await floor.dispatcher()
    jobs = [await floor.submit(job_run_at=in_seconds(0.2)) for _ in range(30)]

    await floor.clock(sweep_batch_max=7)

    for job in jobs:
        await floor.until_status(job, QUEUED)
        assert await floor.topics(job) == ["submitted", "due"]


async def test_a_job_of_a_silent_worker_runs_again(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.clock()
    job = await running(floor)
    await floor.worker()

    job = await floor.until_status(job, SUCCEEDED)

    assert await floor.topics(job) == [
        "submitted",
        "attempt_started",
        "attempt_expired",
        "attempt_started",
        "attempt_succeeded",
    ]
    assert job.attempt == 2


async def test_a_job_whose_every_worker_fell_silent_fails(floor: Floor) -> None:
    await floor.dispatcher()
    job = await running(floor, job_attempts_max=1)

    await floor.clock()

    job = await floor.until_status(job, JobStatus.FAILED)
    assert job.error_code == "WORKER_LOST"


async def test_a_slow_job_of_a_living_worker_is_left_alone(floor: Floor, gate: type[Gate]) -> None:
    await floor.dispatcher()
    await floor.clock()
    await floor.worker()
    slow = await floor.submit("gate")
    await gate.reached.wait()

    # A lease that falls silent now runs out after the slow job has lasted several leases.
    for _ in range(3):
        gone = await running(floor)
        await floor.until_topic(gone, "attempt_expired")

    assert await floor.topics(slow) == ["submitted", "attempt_started"]
    gate.opened.set()
    await floor.until_status(slow, SUCCEEDED)


async def test_a_clock_watches_a_whole_lease_before_it_acts(floor: Floor) -> None:
    await floor.dispatcher()
    job = await running(floor)
    await floor.until(lambda: is_written(floor), "the row is not written")
    await until_passed(floor, LEASE)

    began = time.monotonic()
    await floor.clock()
    await floor.until_topic(job, "attempt_expired")

    assert time.monotonic() - began >= LEASE


async def test_two_clocks_expire_an_attempt_once(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.clock()
    await floor.clock()

    jobs = [await running(floor) for _ in range(5)]

    for job in jobs:
        await floor.until_topic(job, "attempt_expired")
        assert (await floor.topics(job)).count("attempt_expired") == 1


async def test_a_standby_clock_takes_over(floor: Floor) -> None:
    await floor.dispatcher()
    leader = await floor.clock()
    await floor.clock()
    await leader.cut()

    job = await floor.submit(job_run_at=in_seconds(0.1))

    await floor.until_status(job, QUEUED)


async def test_results_are_deleted_after_their_retention(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.clock()
    await floor.worker()

    job = await floor.submit("copier", b"x", job_retention_seconds=1)
    job = await floor.until_status(job, SUCCEEDED)
    path = floor.blobs.local_path(job.outputs[0].blob_key)
    assert path is not None

    await floor.until_topic(job, "result_expired")
    await floor.until(lambda: gone(path), "the blob stays")
    await floor.until(lambda: no_rows(floor, "results"), "the row stays")


async def test_uploads_are_deleted_after_their_time(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.clock()
    upload, path = await received(floor, seconds=0.3)
    kept, kept_path = await received(floor, seconds=600)

    await floor.until(lambda: gone(path), "the blob stays")

    await floor.until(lambda: no_rows(floor, "uploads", but=1), "the row stays")
    assert (await floor.repository.load(Upload, upload)).expired
    assert not (await floor.repository.load(Upload, kept)).expired
    assert kept_path.exists()


async def test_a_row_that_lags_behind_the_log_does_no_harm(floor: Floor) -> None:
    dispatcher = await floor.dispatcher()
    job = await floor.submit(job_run_at=in_seconds(0.4))
    stale = await floor.submit(job_run_at=in_seconds(0.4))
    await floor.until(lambda: rows_are(floor, "jobs", 2), "the rows are not written")
    await dispatcher.drain()
    await floor.cancel(stale)

    await floor.clock()
    await floor.until_status(job, QUEUED)

    assert await floor.topics(stale) == ["submitted", "cancelled"]


@pytest.fixture
async def private_postgres(
    server_factory: ServerFactory, nats_url: str, tmp_path: Path
) -> AsyncIterator[tuple[Floor, Server]]:
    """A floor on a PostgreSQL of its own."""
    server = server_factory.postgres()
    await asyncio.to_thread(server.start)
    url = await asyncio.to_thread(DatabaseFactory(server.url).migrated)
    async with opened(url, nats_url, tmp_path) as floor:
        yield floor, server


async def test_a_restart_of_postgres_during_a_job_runs_nothing_again(
    private_postgres: tuple[Floor, Server], gate: type[Gate]
) -> None:
    floor, server = private_postgres
    await floor.dispatcher()
    await floor.clock()
    await floor.worker()
    job = await floor.submit("gate", makes_output=True)
    await gate.reached.wait()
    await floor.until(lambda: is_written(floor), "the row is not written")

    # Down for longer than a lease, and the result comes while it is down.
    await asyncio.to_thread(server.kill)
    gate.opened.set()
    await until_passed(floor, 2 * LEASE)
    await asyncio.to_thread(server.start)

    job = await floor.until_status(job, SUCCEEDED)
    assert await floor.topics(job) == ["submitted", "attempt_started", "attempt_succeeded"]
    assert gate.runs == 1
    await floor.until_status(await floor.submit(), SUCCEEDED)


async def is_written(floor: Floor) -> bool:
    return bool(await floor.rows("SELECT FROM work.jobs WHERE state = 'running'"))


async def rows_are(floor: Floor, table: str, count: int) -> bool:
    return len(await floor.rows(f"SELECT FROM work.{table}")) == count


async def no_rows(floor: Floor, table: str, but: int = 0) -> bool:
    return await rows_are(floor, table, but)


async def until_passed(floor: Floor, seconds: float) -> None:
    """Wait until a silence or an outage has lasted so long."""
    end = time.monotonic() + seconds

    async def has_passed() -> bool:
        return time.monotonic() >= end

    await floor.until(has_passed, "time stands still")


async def gone(path: Path) -> bool:
    return not await asyncio.to_thread(path.exists)


async def received(floor: Floor, seconds: float) -> tuple[object, Path]:
    upload_id = uuid7()
    seal, key = floor.sealer.new_key(upload_id, "acme", "user:1")
    file: FileRef = await floor.file(seal, b"uploaded")
    now = SystemClock().now()
    upload = Upload.receive(
        upload_id, "user:1", file, now + timedelta(seconds=seconds), origin(at=now)
    )
    await floor.repository.save(upload, keys=[key])
    path = floor.blobs.local_path(file.blob_key)
    assert path is not None
    return upload_id, path


async def test_an_upload_that_the_log_does_not_know_is_skipped(floor: Floor) -> None:
    await floor.rows("INSERT INTO work.uploads VALUES ($1, now()) RETURNING upload_id", uuid7())
    await floor.dispatcher()
    await floor.clock()
    _, path = await received(floor, seconds=0.1)

    await floor.until(lambda: gone(path), "the clock stumbled")

    with pytest.raises(NotFound):
        await floor.repository.load(Upload, uuid7())
