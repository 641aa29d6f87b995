"""How long until the job of a killed worker runs again, with default settings.

Two workers run; the one that has the job is killed, and the span ends when the log holds the next
`AttemptStarted`. `make drills` asserts the bar over 20 kills on a whole platform.
"""

import asyncio
import os
import signal
import time
from uuid import UUID

import asyncpg
import httpx
import psutil
import uvloop

from tests.benchmarks.services import environment, platform, service, token
from tests.benchmarks.stand import Stand
from tests.benchmarks.table import Figure, Progress, Row, Sense, median

KILLS = 4
JOB = {"tool": "no-op", "options": {"seconds": 4.0}}
STARTS = (
    "SELECT count(*) FROM event_store.stored_events WHERE originator_id = $1 "
    "AND topic = 'magictoolbox.job.attempt_started'"
)
SECONDS_MAX = 60.0
POLL_SECONDS = 0.02


def measure(stand: Stand, say: Progress) -> list[Row]:
    """All rows of this benchmark."""
    url = stand.new_database("bench_rescue")
    told = environment(stand, url)
    spans = []
    with (
        service("clock", stand, told),
        service("command-api", stand, told) as command_url,
    ):
        headers = {"Authorization": f"Bearer {token(command_url)}"}
        for number in range(KILLS):
            say(f"rescue: kill {number + 1} of {KILLS}")
            with platform(stand, told):
                spans.append(uvloop.run(rescued(stand, told, url, command_url, headers)))
    return [
        Row(
            "job of a killed worker runs again, worst",
            Figure(max(spans), "s"),
            sense=Sense.AT_MOST,
            bar=15,
        ),
        Row("  median", Figure(median(spans), "s")),
    ]


async def rescued(
    stand: Stand, told: dict[str, str], url: str, command_url: str, headers: dict[str, str]
) -> float:
    """Submit, wait for the claim, kill, start another worker, wait for the next claim."""
    watch = await asyncpg.connect(url)
    async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
        answer = await client.post(f"{command_url}/api/v1/jobs", json=JOB)
    job_id = UUID(answer.json()["job_id"])
    await started(watch, job_id, 1)
    for process in psutil.process_iter(["cmdline"]):
        if is_worker_of(process, told):
            os.kill(process.pid, signal.SIGKILL)
    began = time.perf_counter()
    with service("worker", stand, told):
        await started(watch, job_id, 2)
        span = time.perf_counter() - began
    await watch.close()
    return span


def is_worker_of(process: psutil.Process, told: dict[str, str]) -> bool:
    """Whether this is a worker of our own stand."""
    command = process.info["cmdline"] or []
    if command[-1:] != ["worker"]:
        return False
    return process.environ().get("DATABASE_URL") == told["DATABASE_URL"]


async def started(watch: asyncpg.Connection, job_id: UUID, attempts: int) -> None:
    """Wait until the log holds that many claims of the job."""
    end = time.perf_counter() + SECONDS_MAX
    while await watch.fetchval(STARTS, job_id) < attempts:
        if time.perf_counter() > end:
            raise TimeoutError(f"attempt {attempts} of {job_id} does not start")
        await asyncio.sleep(POLL_SECONDS)
