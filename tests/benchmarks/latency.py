"""From the POST to an end that the query API shows, at a light load of 20 jobs a second.

Each job is posted over HTTP and then asked for with `?wait=`, which returns as soon as the job's
row changes; the span ends when an answer says `succeeded`.
"""

import asyncio
import time

import httpx
import uvloop

from tests.benchmarks.services import environment, platform, service, token
from tests.benchmarks.stand import Stand
from tests.benchmarks.table import Figure, Progress, Row, Sense, median, quantile

ROUNDS = 3
PER_SECOND = 20
SECONDS = 10
WARM_UP = 20
JOB = {"tool": "no-op"}


def measure(stand: Stand, say: Progress) -> list[Row]:
    """All rows of this benchmark."""
    url = stand.new_database("bench_latency")
    told = environment(stand, url)
    rounds: list[list[float]] = []
    with (
        platform(stand, told, "query-api") as addresses,
        service("command-api", stand, told) as command_url,
    ):
        headers = {"Authorization": f"Bearer {token(command_url)}"}
        for number in range(ROUNDS):
            say(f"latency: round {number + 1} of {ROUNDS}")
            rounds.append(uvloop.run(light_load(command_url, addresses["query-api"], headers)))
    p50 = median([quantile(spans, 0.5) for spans in rounds])
    p99 = median([quantile(spans, 0.99) for spans in rounds])
    name = f"POST to succeeded on the query API, {PER_SECOND}/s"
    return [
        Row(f"{name}, p50", Figure(p50 * 1000, "ms"), sense=Sense.AT_MOST, bar=10),
        Row("  p99", Figure(p99 * 1000, "ms"), sense=Sense.AT_MOST, bar=25),
    ]


async def light_load(command_url: str, query_url: str, headers: dict[str, str]) -> list[float]:
    """The spans of one round, in seconds."""
    spans: list[float] = []
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=30) as client:

        async def one() -> None:
            began = time.perf_counter()
            job_id = (await client.post(f"{command_url}/api/v1/jobs", json=JOB)).json()["job_id"]
            status = ""
            while status != "succeeded":
                shown = await client.get(f"{query_url}/api/v1/jobs/{job_id}", params={"wait": "10"})
                shown.raise_for_status()
                status = shown.json()["status"]
            spans.append(time.perf_counter() - began)

        for _ in range(WARM_UP):
            await one()
        spans.clear()
        running = []
        for _ in range(PER_SECOND * SECONDS):
            running.append(asyncio.create_task(one()))
            await asyncio.sleep(1 / PER_SECOND)
        await asyncio.gather(*running)
    return spans
