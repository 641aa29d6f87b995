"""How long a tool's word takes to a client that follows the job, and what it costs in the log.

The words go the way of a worker's (`ProgressTold`, core NATS, query API, server-sent events), from
this process, so that one clock measures both ends. A job that this process has claimed is followed.
"""

import asyncio
import json
import time
from uuid import UUID

import asyncpg
import httpx
import uvloop

from events.contracts.values import Origin
from events.domain.job import Job
from events.store.append import PostgresAppender
from events.store.log import PostgresLog
from events.store.repository import Repository
from infrastructure.broker import Broker
from infrastructure.clock import SystemClock
from infrastructure.ids import uuid7
from infrastructure.postgres import Role
from infrastructure.settings import NatsSettings
from processors.progress import PER_SECOND_MAX, ProgressTold
from tests.benchmarks.services import NO_OP_BODY, environment, offer_no_op, service, token
from tests.benchmarks.stand import Stand
from tests.benchmarks.table import Figure, Progress, Row, Sense, quantile

WORDS = 100
BAR_MS = 250.0
SECONDS_MAX = 60.0
CONNECT_SECONDS = 10.0


def measure(stand: Stand, say: Progress) -> list[Row]:
    """All rows of this benchmark."""
    url = stand.new_database("bench_progress")
    told = environment(stand, url)
    offer_no_op(url)
    with (
        service("relay", stand, told),
        service("projector", stand, told),
        service("command-api", stand, told) as command_url,
        service("query-api", stand, told) as query_url,
    ):
        say("progress: from a tool to a client")
        headers = {"Authorization": f"Bearer {token(command_url)}"}
        times, events = uvloop.run(followed(stand, url, command_url, query_url, headers))
    return [
        Row("a tool's progress at a client, p50", Figure(quantile(times, 0.5), "ms")),
        Row("  p99", Figure(quantile(times, 0.99), "ms"), sense=Sense.AT_MOST, bar=BAR_MS),
        Row(f"  events stored for {WORDS} words", Figure(events, "")),
    ]


async def followed(
    stand: Stand, url: str, command_url: str, query_url: str, headers: dict[str, str]
) -> tuple[list[float], int]:
    """The time of each word in milliseconds, and the events that all of them left."""
    async with (
        httpx.AsyncClient(headers=headers, trust_env=False, timeout=SECONDS_MAX) as client,
        asyncpg.create_pool(url, min_size=1, max_size=2) as pool,
    ):
        answer = await client.post(
            f"{command_url}/api/v1/jobs",
            content=NO_OP_BODY,
            headers={"Content-Type": "application/json"},
        )
        log = PostgresLog(pool)
        job = await claimed(UUID(answer.json()["job_id"]), url, log)
        head = await log.head()
        broker = Broker(NatsSettings(nats_url=stand.nats.url), "bench")
        await broker.start()
        assert await broker.wait_connected(CONNECT_SECONDS)
        heard = asyncio.Event()
        stream = f"{query_url}/api/v1/jobs/{job.id}/stream"
        telling = asyncio.create_task(tell(ProgressTold(job, broker.ring), heard))
        async with asyncio.timeout(SECONDS_MAX), client.stream("GET", stream) as messages:
            times = await hear(messages, heard)
        telling.cancel()
        await broker.stop()
        return times, await log.head() - head


async def claimed(job_id: UUID, url: str, log: PostgresLog) -> Job:
    """The job, as a worker has it that runs it."""
    repository = Repository(log, PostgresAppender(url, Role.PROCESSORS))
    origin = Origin("default", "worker:bench", str(uuid7()), "bench", "bench", SystemClock().now())
    job, _ = await repository.change(
        Job, job_id, lambda job: job.start_attempt("bench", "L0", origin)
    )
    await repository.close()
    return job


async def tell(told: ProgressTold, heard: asyncio.Event) -> None:
    """A word as often as it is passed on, each with the time it was said."""
    await heard.wait()
    for number in range(10 * WORDS):
        told(number / (10 * WORDS), str(time.perf_counter()))
        await asyncio.sleep(1.05 / PER_SECOND_MAX)


async def hear(messages: httpx.Response, heard: asyncio.Event) -> list[float]:
    """How old each word was when it came."""
    times: list[float] = []
    is_progress = False
    async for line in messages.aiter_lines():
        if line.startswith("event: "):
            is_progress = line == "event: progress"
        elif line.startswith("data: "):
            data = json.loads(line.removeprefix("data: "))
            if is_progress:
                times.append((time.perf_counter() - float(data["message"])) * 1000)
            elif data["topic"].endswith("attempt_started"):
                heard.set()
            is_progress = False
        if len(times) >= WORDS:
            break
    return times
