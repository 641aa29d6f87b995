"""No-op jobs from the submit to an end that the read model shows, against Celery.

32 callers in one process call the submit handler; relay, dispatcher, one worker and the projector
are processes of their own. A round is over when the read model counts all its jobs as succeeded.
Celery: 32 callers (8 threads) call `.delay()`, one prefork worker with 2 processes works at the
same time, and the round is over when all results are in the backend. Rounds are interleaved.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

import asyncpg
import redis
import uvloop

from command_api.commands import SubmitJob
from command_api.lifespan import opened
from command_api.settings import CommandApiSettings
from events.store.provisional_blobs import ProvisionalBlobs
from infrastructure.clock import SystemClock
from infrastructure.logging import configure_logging
from infrastructure.principals import Principal, Role
from tests.benchmarks.services import environment, peer_environment, platform, process
from tests.benchmarks.stand import Stand
from tests.benchmarks.table import Figure, Progress, Row, median

ROUNDS = 3
CALLERS = 32
JOBS = 6_000
SANDBOXED_JOBS = 600
PEER_JOBS = 2_000
ROUND_SECONDS_MAX = 120.0
POLL_SECONDS = 0.02
WARM_UP_JOBS = 200

SUCCEEDED = "SELECT coalesce(sum(jobs), 0) FROM read_models.job_counters WHERE status = 'succeeded'"
WRITTEN = """
SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS wal,
       (SELECT sum(xact_commit) FROM pg_stat_database WHERE datname = current_database()) AS commits
"""


def measure(stand: Stand, say: Progress) -> list[Row]:
    """All rows of this benchmark."""
    inline: list[dict[str, float]] = []
    peers: list[float] = []
    url = stand.new_database("bench_end_to_end")
    with platform(stand, environment(stand, url)), celery_worker(stand):
        run(stand, url, WARM_UP_JOBS)
        peer(stand, WARM_UP_JOBS)
        for number in range(ROUNDS):
            say(f"end to end: round {number + 1} of {ROUNDS}")
            inline.append(run(stand, url, JOBS))
            peers.append(peer(stand, PEER_JOBS))
    say("end to end: in the sandbox")
    with platform(stand, {**environment(stand, url), "RUN_TRUSTED_INLINE": "false"}):
        run(stand, url, WARM_UP_JOBS // 4)
        sandboxed = [run(stand, url, SANDBOXED_JOBS) for _ in range(ROUNDS)]
    return _rows(inline, sandboxed, peers)


def run(stand: Stand, url: str, jobs: int) -> dict[str, float]:
    """One round of ours, driven from a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.end_to_end", str(jobs)]
    done = subprocess.run(
        command, env=environment(stand, url), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return dict(json.loads(done.stdout))


async def drive(jobs: int) -> dict[str, float]:
    """Submit by 32 callers of the handler and wait until the read model shows all ends."""
    settings = CommandApiSettings()
    watch = await asyncpg.connect(settings.dsn)
    principal = Principal(uuid4(), "default", Role.CLIENT, 1)
    async with opened(settings, SystemClock()) as resources:
        handler = resources.handlers.submit_job

        async def caller(count: int) -> None:
            for _ in range(count):
                command = SubmitJob(
                    principal=principal, request_id="bench", tool="no-op", options={}
                )
                await handler(command, ProvisionalBlobs(resources.blobs))

        before = await watch.fetchval(SUCCEEDED)
        written = await watch.fetchrow(WRITTEN)
        began = time.perf_counter()
        await asyncio.gather(*(caller(jobs // CALLERS) for _ in range(CALLERS)))
        submitted = time.perf_counter() - began
        total = jobs // CALLERS * CALLERS
        await succeeded(watch, before + total)
        took = time.perf_counter() - began
        after = await watch.fetchrow(WRITTEN)
    await watch.close()
    return {
        "submits": total / submitted,
        "jobs": total / took,
        "wal": float(after["wal"] - written["wal"]) / total,
        "commits": float(after["commits"] - written["commits"]) / total,
    }


async def succeeded(watch: asyncpg.Connection, wanted: int) -> None:
    """Wait until the read model counts so many jobs as succeeded."""
    end = time.perf_counter() + ROUND_SECONDS_MAX
    while (counted := await watch.fetchval(SUCCEEDED)) < wanted:
        if time.perf_counter() > end:
            raise TimeoutError(f"{counted} of {wanted} jobs have succeeded")
        await asyncio.sleep(POLL_SECONDS)


@contextmanager
def celery_worker(stand: Stand) -> Iterator[None]:
    """The comparator's worker: prefork, two processes."""
    command = [sys.executable, "-m", "celery", "-A", "tests.benchmarks.peers.celery_tasks"]
    command += ["worker", "-P", "prefork", "-c", "2", "--loglevel", "ERROR"]
    with process(command, peer_environment(stand), stand.folder / "celery-worker.log"):
        yield


def peer(stand: Stand, jobs: int) -> float:
    """One round of Celery, driven from a process of its own."""
    told: Mapping[str, str] = peer_environment(stand)
    with contextlib.closing(redis.Redis.from_url(told["PEER_BACKEND_URL"])) as backend:
        backend.flushdb()
    command = [sys.executable, "-m", "tests.benchmarks.peers.celery_driver", str(jobs)]
    done = subprocess.run(command, env=dict(told), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return float(done.stdout)


def _rows(
    inline: list[dict[str, float]], sandboxed: list[dict[str, float]], peers: list[float]
) -> list[Row]:
    def middle(runs: list[dict[str, float]], what: str, unit: str) -> Figure:
        return Figure(median([run[what] for run in runs]), unit)

    beside, celery = "Celery, prefork 2, result backend", Figure(median(peers), "/s")
    return [
        Row(
            "no-op jobs end to end, 32 callers", middle(inline, "jobs", "/s"), beside, celery, bar=8
        ),
        Row("  submits meanwhile", middle(inline, "submits", "/s")),
        Row("  WAL bytes a job", middle(inline, "wal", "B")),
        Row("  commits a job", middle(inline, "commits", "")),
        Row("  the same in the sandbox", middle(sandboxed, "jobs", "/s"), beside, celery, bar=0.7),
    ]


if __name__ == "__main__":
    configure_logging("bench", "WARNING", out=sys.stderr.buffer)
    sys.stdout.write(json.dumps(uvloop.run(drive(int(sys.argv[1])))))
