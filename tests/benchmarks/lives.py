"""Fills a log with jobs that were submitted, run and succeeded, three adjacent events each."""

import asyncio
import time
from datetime import UTC, datetime

import asyncpg
import uvloop

from events.contracts.values import FileRef, Origin, SealedText
from events.domain.job import Job, JobRequest
from events.store.append import PostgresAppender
from events.store.log import PostgresLog
from events.store.repository import Repository
from infrastructure.ids import uuid7
from infrastructure.postgres import Role

EVENTS_OF_A_JOB = 3
CALLERS = 200
SEALED = SealedText("s1." + "c" * 60)
OUTPUT = FileRef(SEALED, "image/webp", 12_345, "ab" * 32, f"default/{uuid7()}")


def fill(url: str, jobs: int) -> float:
    """Append that many lives; returns the seconds it took."""
    began = time.perf_counter()
    uvloop.run(_fill(url, jobs))
    return time.perf_counter() - began


async def _fill(url: str, jobs: int) -> None:
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        repository = Repository(PostgresLog(pool), PostgresAppender(url, Role.PROCESSORS))

        async def caller(count: int) -> None:
            for _ in range(count):
                await repository.save(life())

        await asyncio.gather(*(caller(jobs // CALLERS) for _ in range(CALLERS)))
        await repository.close()


def life() -> Job:
    """One job with its whole life still to be saved."""
    origin = Origin(
        "default", "user:bench", str(uuid7()), str(uuid7()), str(uuid7()), datetime.now(UTC)
    )
    request = JobRequest("user:bench", "image-converter", "1.0.0", SEALED, [OUTPUT])
    job = Job.submit(uuid7(), request, origin)
    lease = job.start_attempt("worker:bench", "L2", origin)
    job.succeed(lease, [OUTPUT], 12, {"cpu_seconds": 0.01, "peak_rss_bytes": 1e8}, origin)
    return job
