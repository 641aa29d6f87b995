"""Opens everything the query API works with, and closes it again in the other order.

Nothing has to answer for the process to start: what is away is used as soon as it is back.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from nats.aio.msg import Msg
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from events.contracts.subjects import PROJECTION_APPLIED
from events.store.log import PostgresLog
from events.store.sealing import Sealer
from infrastructure.blobs.location import blob_store_at
from infrastructure.broker import Broker
from infrastructure.clock import Clock
from infrastructure.http.rate_limit import RequestLimiter
from infrastructure.periodic import ServiceLoop
from infrastructure.postgres import Pool, Role, create_pool
from infrastructure.sessions import Sessions
from infrastructure.tokens import TokenVerifier
from query_api.attempt_logs import AttemptLogs
from query_api.history import History
from query_api.job_watch import POLL_SECONDS as LOOK_SECONDS
from query_api.job_watch import JobWatch
from query_api.links import Links
from query_api.live_progress import LiveProgress
from query_api.live_status import LiveStatus
from query_api.positions import POLL_SECONDS, AppliedPositions
from query_api.queries import jobs, projections
from query_api.reader import Reader, create_read_engine
from query_api.resources import Resources
from query_api.settings import QueryApiSettings
from query_api.streams import Streams
from query_api.workers import Workers

REDIS_SECONDS_MAX: Final = 0.25
CLOSE_SECONDS_MAX: Final = 5.0
PAUSE_SECONDS_MAX: Final = 1.0
"""Between two tries of what callers wait for."""


@asynccontextmanager
async def opened(settings: QueryApiSettings, clock: Clock) -> AsyncIterator[Resources]:
    """Everything, open."""
    async with AsyncExitStack() as stack:
        reader = Reader(create_read_engine(settings))
        stack.push_async_callback(reader.close)
        pool = await stack.enter_async_context(_log_pool(settings))
        redis = _redis(settings)
        stack.push_async_callback(redis.aclose)
        blobs = blob_store_at(settings)
        stack.push_async_callback(blobs.close)
        positions = AppliedPositions(lambda: projections.positions(reader))
        watch = JobWatch(lambda seen: jobs.changed_jobs(reader, seen))
        services = (
            ServiceLoop(positions, idle_seconds=POLL_SECONDS, pause_seconds_max=PAUSE_SECONDS_MAX),
            ServiceLoop(
                watch,
                wake=watch.wake,
                idle_seconds=LOOK_SECONDS,
                pause_seconds_max=PAUSE_SECONDS_MAX,
            ),
        )
        for service in services:
            await stack.enter_async_context(_running(service))
        broker = Broker(settings, "query-api")
        await broker.start()
        stack.push_async_callback(broker.stop)
        await broker.subscribe(PROJECTION_APPLIED, _heard(positions, watch))
        sessions = Sessions(pool)
        stack.push_async_callback(sessions.close)
        yield Resources(
            reader=reader,
            history=History(PostgresLog(pool), Sealer(settings)),
            attempt_logs=AttemptLogs(pool),
            positions=positions,
            watch=watch,
            live=LiveStatus(redis),
            progress=LiveProgress(broker),
            streams=Streams(),
            workers=Workers(pool),
            blobs=blobs,
            broker=broker,
            redis=redis,
            links=Links.of(settings),
            tokens=TokenVerifier(settings),
            sessions=sessions,
            services=services,
            limiter=RequestLimiter(redis, settings.requests_per_minute),
            clock=clock,
        )


@asynccontextmanager
async def _log_pool(settings: QueryApiSettings) -> AsyncIterator[Pool]:
    pool = await create_pool(settings, Role.QUERY_API)
    try:
        yield pool
    finally:
        try:
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await pool.close()
        except TimeoutError:
            pool.terminate()


def _redis(settings: QueryApiSettings) -> Redis:
    return Redis.from_url(
        settings.redis_url,
        socket_timeout=REDIS_SECONDS_MAX,
        socket_connect_timeout=REDIS_SECONDS_MAX,
        # A cache that does not answer at once is done without.
        retry=Retry(NoBackoff(), 0),
    )


def _heard(positions: AppliedPositions, watch: JobWatch) -> Callable[[Msg], None]:
    def heard(message: Msg) -> None:
        if positions.heard(message.data) == jobs.JOB_SUMMARY:
            watch.poke()

    return heard


@asynccontextmanager
async def _running(service: ServiceLoop) -> AsyncIterator[None]:
    task = asyncio.create_task(service.run(), name=service.name)
    try:
        yield
    finally:
        service.drain()
        await task
