"""What limits cost, and what a million jobs that wait cost those that do not.

Limits: the rounds of `end_to_end`, alternately without limits and with three that never bind (of
the tenant, of the tool, and a rate), so that every job is counted and none is held back.

Long queues: so many jobs of a paused queue stand in the log and in the tables of work, put there by
COPY from what the codec writes. Beside them single jobs are submitted by the handler, one after the
other, and run; a claim is timed by the database, from the submission to the start of the attempt.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import uvloop
from redis import Redis

from command_api.commands import SubmitJob
from command_api.lifespan import opened
from command_api.settings import CommandApiSettings
from events.contracts.limit import LimitScope
from events.contracts.values import Origin, SealedText
from events.domain.job import Job, JobRequest
from events.domain.limit import Bounds, Limit
from events.domain.queue import Queue
from events.store.append import PostgresAppender
from events.store.codec import Codec
from events.store.log import PostgresLog
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.repository import Repository
from infrastructure.clock import SystemClock
from infrastructure.ids import uuid7
from infrastructure.logging import configure_logging
from infrastructure.postgres import Role
from infrastructure.principals import Principal
from infrastructure.principals import Role as UserRole
from processors.tools.no_op import NoOp
from projectors.read_models import live
from tests.benchmarks import end_to_end
from tests.benchmarks.services import environment, platform
from tests.benchmarks.stand import Stand
from tests.benchmarks.table import Figure, Progress, Row, Sense, median

ROUNDS = 3
JOBS = 4_000
WARM_UP_JOBS = 200
SHORT, LONG = 1_000, 1_000_000
SINGLE_JOBS = 300
POLL_SECONDS = 0.002
FILL_SECONDS_MAX = 600.0
FILL_POLL_SECONDS = 0.2
NEVER_BINDS = 1_000_000
TENANT, WAITING_TENANT, QUEUE = "default", "waiting", "default"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

FILL_ROWS = """
INSERT INTO work.jobs (job_id, tenant, queue, priority, tool, timeout_seconds, state, version,
                       position, place, since, lease)
SELECT originator_id, tenant, $1, 0, 'no-op', 60, 'queued', 1, notification_id, notification_id,
       recorded_at, 0
  FROM event_store.stored_events WHERE tenant = $2 AND topic = $3
"""
CLAIMED = """
SELECT extract(epoch FROM started.recorded_at - submitted.recorded_at)
  FROM event_store.stored_events submitted
  JOIN event_store.stored_events started
    ON started.originator_id = submitted.originator_id AND started.originator_version = 2
 WHERE submitted.originator_id = ANY($1::uuid[]) AND submitted.originator_version = 1
"""


def measure(stand: Stand, say: Progress) -> list[Row]:
    """All rows of this benchmark."""
    off, on = _limits(stand, say)
    short, long = (_beside(stand, say, waiting) for waiting in (SHORT, LONG))
    without = "the same without limits"
    rows = [Row("no-op jobs end to end with limits", on, without, off, Sense.AT_LEAST, 0.9)]
    for what in ("submit", "claim"):
        ours, theirs = Figure(long[what], "ms"), Figure(short[what], "ms")
        name = f"{what} beside {LONG:,} waiting jobs, p50"
        rows.append(Row(name, ours, f"beside {SHORT:,}", theirs, Sense.AT_MOST, 1.5))
    return rows


def _limits(stand: Stand, say: Progress) -> tuple[Figure, Figure]:
    url = stand.new_database("bench_limits")
    speeds: dict[bool, list[float]] = {False: [], True: []}
    with platform(stand, environment(stand, url)):
        end_to_end.run(stand, url, WARM_UP_JOBS)
        for number in range(ROUNDS):
            say(f"queues: limits, round {number + 1} of {ROUNDS}")
            # Which of the two is first changes, so that neither always finds the warmer caches.
            for limited in (False, True) if number % 2 else (True, False):
                asyncio.run(_set_limits(url, limited))
                speeds[limited].append(end_to_end.run(stand, url, JOBS)["jobs"])
    return Figure(median(speeds[False]), "/s"), Figure(median(speeds[True]), "/s")


async def _set_limits(url: str, limited: bool) -> None:
    bounds = {
        (LimitScope.TENANT, ""): Bounds(concurrency=NEVER_BINDS),
        (LimitScope.TOOL, "no-op"): Bounds(NEVER_BINDS, NEVER_BINDS, 1.0),
    }
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        repository = Repository(PostgresLog(pool), PostgresAppender(url, Role.COMMAND_API))
        for (scope, subject), bound in bounds.items():
            limit = Limit.introduce(scope, subject, None, _origin(TENANT))
            known = await PostgresLog(pool).read_stream(limit.id)
            if known:
                limit = repository.fold(Limit, known)
            if limited:
                limit.set(bound, _origin(TENANT))
            elif limit.bounds is not None:
                limit.remove(_origin(TENANT))
            await repository.save(limit)
        await repository.close()


def _beside(stand: Stand, say: Progress, waiting: int) -> dict[str, float]:
    say(f"queues: {waiting:,} jobs wait")
    # The stream and the live status are another log's.
    stand.nats.kill()
    stand.nats.wipe()
    stand.nats.start()
    with Redis.from_url(stand.valkey.url) as valkey:
        valkey.flushdb()
    url = stand.new_database(f"bench_queue_{waiting}")
    asyncio.run(_fill(url, waiting))
    told = environment(stand, url)
    _build_read_models(told)
    asyncio.run(_settle(url))
    asyncio.run(_pause(url))
    with platform(stand, told):
        _await_live_status(stand.valkey.url, waiting)
        # The first round meets workers that still start; it is not the middle one.
        rounds = [_single_jobs(told) for _ in range(ROUNDS)]
    return {what: median([each[what] for each in rounds]) for what in rounds[0]}


def _single_jobs(told: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.queues", str(SINGLE_JOBS)]
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return dict(json.loads(done.stdout))


async def _fill(url: str, waiting: int) -> None:
    """Put waiting jobs into the log and the tables of work."""
    connection = await asyncpg.connect(url)
    await connection.copy_records_to_table(
        "stored_events",
        schema_name="event_store",
        columns=(
            *("originator_id", "originator_version", "topic", "state"),
            *("notification_id", "recorded_at", "tenant"),
        ),
        records=_records(waiting),
        timeout=FILL_SECONDS_MAX,
    )
    await connection.execute("UPDATE event_store.event_head SET position = $1", waiting)
    topic = "magictoolbox.job.submitted"
    await connection.execute(FILL_ROWS, QUEUE, WAITING_TENANT, topic, timeout=FILL_SECONDS_MAX)
    await connection.execute("UPDATE work.checkpoints SET position = $1", waiting)
    await connection.close()


def _build_read_models(told: dict[str, str]) -> None:
    """The projector would begin with it, beside what is timed."""
    command = [sys.executable, "-m", "infrastructure.cli.main", "projections", "rebuild"]
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])


def _await_live_status(url: str, position: int) -> None:
    """The projector fills it with all jobs that wait, beside what it does."""
    deadline = time.perf_counter() + FILL_SECONDS_MAX
    with Redis.from_url(url) as valkey:
        while int(valkey.get(live.CHECKPOINT) or 0) < position:
            if time.perf_counter() > deadline:
                raise TimeoutError("live status is not filled")
            time.sleep(FILL_POLL_SECONDS)


async def _settle(url: str) -> None:
    """What filling left to be written and counted is not the cost of jobs that wait."""
    connection = await asyncpg.connect(url)
    await connection.execute("VACUUM ANALYZE", timeout=FILL_SECONDS_MAX)
    await connection.execute("CHECKPOINT", timeout=FILL_SECONDS_MAX)
    await connection.close()


async def _pause(url: str) -> None:
    """Let nobody take the jobs that wait."""
    queue = Queue.introduce(QUEUE, _origin(WAITING_TENANT))
    queue.pause(_origin(WAITING_TENANT))
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        repository = Repository(PostgresLog(pool), PostgresAppender(url, Role.COMMAND_API))
        await repository.save(queue)
        await repository.close()


def _records(waiting: int) -> Iterator[tuple[Any, ...]]:
    request = JobRequest(
        owner="user:1",
        tool=NoOp.name,
        tool_version=NoOp.version,
        options=SealedText("s1." + "x" * 40),
        inputs=(),
        queue=QUEUE,
    )
    (fact,) = Job.submit(uuid7(), request, _origin(WAITING_TENANT)).collect_events()
    stored = Codec().to_stored_event(fact)
    for position in range(1, waiting + 1):
        # In the order of their making, as UUIDv7 are.
        job_id = UUID(int=(1 << 100) + (position << 60) + position)
        yield job_id, 1, stored.topic, stored.state, position, NOON, WAITING_TENANT


def _origin(tenant: str) -> Origin:
    return Origin(tenant, "user:1", str(uuid7()), "bench", "bench", SystemClock().now())


async def drive(jobs: int) -> dict[str, float]:
    """Submit single jobs, one after the other, each when the one before it has started."""
    settings = CommandApiSettings()
    watch = await asyncpg.connect(settings.dsn)
    principal = Principal(uuid4(), TENANT, UserRole.CLIENT, 1)
    took: list[float] = []
    ids: list[UUID] = []
    async with opened(settings, SystemClock()) as resources:
        for number in range(jobs + WARM_UP_JOBS // 4):
            command = SubmitJob(
                principal=principal, request_id="bench", tool="no-op", options={}, queue=QUEUE
            )
            began = time.perf_counter()
            job = await resources.handlers.submit_job(command, ProvisionalBlobs(resources.blobs))
            if number >= WARM_UP_JOBS // 4:
                took.append(time.perf_counter() - began)
                ids.append(job.job_id)
            await _started(watch, job.job_id)
    waits = [float(row[0]) for row in await watch.fetch(CLAIMED, ids)]
    await watch.close()
    return {"submit": 1_000 * median(took), "claim": 1_000 * median(waits)}


async def _started(watch: asyncpg.Connection, job_id: UUID) -> None:
    deadline = time.perf_counter() + end_to_end.ROUND_SECONDS_MAX
    while not await watch.fetch(CLAIMED, [job_id]):
        if time.perf_counter() > deadline:
            raise TimeoutError(f"job {job_id} does not start")
        await asyncio.sleep(POLL_SECONDS)


if __name__ == "__main__":
    configure_logging("bench", "WARNING", out=sys.stderr.buffer)
    sys.stdout.write(json.dumps(uvloop.run(drive(int(sys.argv[1])))))
