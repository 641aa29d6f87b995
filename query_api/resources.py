"""What the routes work with: opened once by the lifespan, reached through the request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from redis.asyncio import Redis

from infrastructure.blobs.base import BlobStore
from infrastructure.broker import Broker
from infrastructure.clock import Clock
from infrastructure.http.rate_limit import RequestLimiter
from infrastructure.periodic import ServiceLoop
from infrastructure.sessions import Sessions
from infrastructure.tokens import TokenVerifier
from query_api.attempt_logs import AttemptLogs
from query_api.history import History
from query_api.job_watch import JobWatch
from query_api.links import Links
from query_api.live_progress import LiveProgress
from query_api.live_status import LiveStatus
from query_api.positions import AppliedPositions
from query_api.reader import Reader
from query_api.streams import Streams
from query_api.workers import Workers


@dataclass(frozen=True)
class Resources:
    """Everything open in this process."""

    reader: Reader
    history: History
    attempt_logs: AttemptLogs
    positions: AppliedPositions
    watch: JobWatch
    live: LiveStatus
    progress: LiveProgress
    streams: Streams
    workers: Workers
    blobs: BlobStore
    broker: Broker
    redis: Redis
    links: Links
    tokens: TokenVerifier
    sessions: Sessions
    services: Sequence[ServiceLoop]
    limiter: RequestLimiter
    clock: Clock


async def get_resources(request: Request) -> Resources:
    """The resources of the application that got this request.

    A coroutine, because the framework runs plain functions on a thread, which costs more than all
    the rest of a dependency.
    """
    resources: Resources = request.app.state.resources
    return resources


WithResources = Annotated[Resources, Depends(get_resources)]
