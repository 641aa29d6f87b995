"""Limits how often one may try to log in, and how often one principal may ask.

Logins are counted in Redis, per account and address and per address alone: a stranger who fails at
an account locks out only his own address. Requests are counted in leases: a process takes permits
for a principal in chunks, so that most requests cost no round trip.

While Redis is away both count in this process instead. Refusing everyone would turn a lost cache
into an outage of all logins; counting nothing would invite guessing. So the limit then holds for
each process rather than for all together.
"""

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from infrastructure import metrics
from infrastructure.http.problems import Problem

LOGINS_PER_MINUTE_ACCOUNT = 10
LOGINS_PER_MINUTE_ADDRESS = 60
REDIS_SECONDS_MAX = 0.25
REDIS_PAUSE_SECONDS = 5.0
PRINCIPALS_MAX = 10_000
WINDOW_SECONDS = 60
# A lease is this part of the limit: what a process may leave unused when a window ends.
LEASE_PART = 100

log = structlog.get_logger(__name__)

_UNREACHABLE = (RedisError, OSError, TimeoutError)


def limited(scope: str, retry_after_seconds: float) -> Problem:
    """The refusal of one request too many."""
    metrics.HTTP_RATE_LIMITED.labels(scope).inc()
    seconds = max(1, math.ceil(retry_after_seconds))
    return Problem(
        429,
        "RATE_LIMITED",
        f"Too many requests; try again in {seconds} s.",
        headers={"Retry-After": str(seconds)},
    )


class _Reachability:
    """Remembers that Redis was away, so that not every request waits to find it out."""

    def __init__(self) -> None:
        self._away_until = 0.0

    @property
    def is_worth_asking(self) -> bool:
        return time.monotonic() >= self._away_until

    def lost(self, error: Exception) -> None:
        self._away_until = time.monotonic() + REDIS_PAUSE_SECONDS
        log.warning("rate_limits_counted_locally", kind=type(error).__name__)


class LoginLimiter:
    """Counts tries to log in; every try counts, also one with the right password."""

    def __init__(
        self,
        redis: Redis,
        *,
        per_account: int = LOGINS_PER_MINUTE_ACCOUNT,
        per_address: int = LOGINS_PER_MINUTE_ADDRESS,
    ) -> None:
        # The address in the pool counts; the one here only names the kind of server.
        pool: Any = redis.connection_pool
        storage = RedisStorage(
            "async+redis://", implementation="redispy", key_prefix="logins", connection_pool=pool
        )
        self._shared = SlidingWindowCounterRateLimiter(storage)
        self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis = _Reachability()
        self._per_account = RateLimitItemPerMinute(per_account)
        self._per_address = RateLimitItemPerMinute(per_address)

    async def admit(self, account: str, address: str) -> None:
        """Count a try and raise Problem 429 when it is one too many."""
        # Hashed, so that no list of account names gathers in a cache.
        account_key = hashlib.sha256(account.casefold().encode()).hexdigest()[:32]
        await self._count(self._per_address, "address", address)
        await self._count(self._per_account, "account", account_key, address)

    async def _count(self, item: RateLimitItem, *keys: str) -> None:
        limiter = self._shared if self._redis.is_worth_asking else self._local
        try:
            async with asyncio.timeout(REDIS_SECONDS_MAX):
                await self._hit(limiter, item, *keys)
        except _UNREACHABLE as error:
            self._redis.lost(error)
            await self._hit(self._local, item, *keys)

    async def _hit(
        self, limiter: SlidingWindowCounterRateLimiter, item: RateLimitItem, *keys: str
    ) -> None:
        if not await limiter.hit(item, *keys):
            window = await limiter.get_window_stats(item, *keys)
            metrics.LOGINS.labels("limited").inc()
            raise limited("login", window.reset_time - time.time())


@dataclass
class _Permits:
    window: int
    left: int = 0
    exhausted: bool = False
    leasing: asyncio.Lock = field(default_factory=asyncio.Lock)


class RequestLimiter:
    """Admits a number of requests a minute for each principal."""

    def __init__(
        self,
        redis: Redis | None,
        per_minute: int,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._redis = redis
        self._per_minute = per_minute
        self._chunk = max(1, per_minute // LEASE_PART)
        self._now = now
        self._reachability = _Reachability()
        self._permits: OrderedDict[str, _Permits] = OrderedDict()

    async def admit(self, principal: str) -> None:
        """Use one permit, or raise Problem 429."""
        now = self._now()
        permits = self._of(principal, int(now // WINDOW_SECONDS))
        if permits.left > 0:
            permits.left -= 1
            return
        # One lease at a time for each principal; the others wait for it and share it.
        async with permits.leasing:
            if permits.left <= 0 and not permits.exhausted:
                await self._lease(principal, permits)
            if permits.left > 0:
                permits.left -= 1
                return
        raise limited("principal", WINDOW_SECONDS - now % WINDOW_SECONDS)

    def _of(self, principal: str, window: int) -> _Permits:
        permits = self._permits.get(principal)
        if permits is None or permits.window != window:
            permits = self._permits[principal] = _Permits(window)
            self._permits.move_to_end(principal)
            if len(self._permits) > PRINCIPALS_MAX:
                self._permits.popitem(last=False)
        return permits

    async def _lease(self, principal: str, permits: _Permits) -> None:
        granted = await self._lease_shared(principal, permits.window)
        if granted is None:
            # Redis is away: this window is counted here alone.
            granted = self._per_minute
            permits.exhausted = True
        permits.left = granted
        permits.exhausted = permits.exhausted or granted < self._chunk

    async def _lease_shared(self, principal: str, window: int) -> int | None:
        if self._redis is None or not self._reachability.is_worth_asking:
            return None
        key = f"permits:{principal}:{window}"
        try:
            async with asyncio.timeout(REDIS_SECONDS_MAX):
                pipeline = self._redis.pipeline(transaction=False)
                pipeline.incrby(key, self._chunk)
                pipeline.expire(key, 2 * WINDOW_SECONDS)
                taken, _ = await pipeline.execute()
        except _UNREACHABLE as error:
            self._reachability.lost(error)
            return None
        before = int(taken) - self._chunk
        return max(0, min(self._chunk, self._per_minute - before))
