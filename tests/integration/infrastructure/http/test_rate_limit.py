"""Limits on logins and requests, on a real Valkey and while it is away."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from infrastructure.http import rate_limit
from infrastructure.http.problems import Problem
from infrastructure.http.rate_limit import (
    PRINCIPALS_MAX,
    LoginLimiter,
    RequestLimiter,
)
from tests.fixtures.servers import ServerFactory

NOWHERE = "redis://127.0.0.1:1/0"
PATIENCE_SECONDS = 30.0
IMPATIENCE_SECONDS = rate_limit.REDIS_SECONDS_MAX


class HandClock:
    """Moved by hand; starts at the beginning of a minute."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that a busy machine holds up is not taken for one that is away."""
    monkeypatch.setattr(rate_limit, "REDIS_SECONDS_MAX", PATIENCE_SECONDS)


@pytest.fixture
def impatient(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for Redis as little as in production."""
    monkeypatch.setattr(rate_limit, "REDIS_SECONDS_MAX", IMPATIENCE_SECONDS)


@pytest.fixture(params=[False, True], ids=["bytes", "text"])
async def redis(redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, decode_responses=request.param) as connection:
        yield connection


@pytest.fixture
async def away() -> AsyncIterator[Redis]:
    async with Redis.from_url(NOWHERE) as connection:
        yield connection


async def admitted(limiter: RequestLimiter, principal: str, tries: int) -> int:
    """How many of so many requests are let through."""
    outcomes = await asyncio.gather(
        *(limiter.admit(principal) for _ in range(tries)), return_exceptions=True
    )
    assert all(o is None or isinstance(o, Problem) for o in outcomes)
    return sum(outcome is None for outcome in outcomes)


async def test_one_login_too_many_is_refused_with_a_time_to_wait(redis: Redis) -> None:
    limiter = LoginLimiter(redis, per_account=3)
    for _ in range(3):
        await limiter.admit("ada", "10.0.0.1")

    with pytest.raises(Problem) as refused:
        await limiter.admit("ada", "10.0.0.1")

    assert (refused.value.status_code, refused.value.code) == (429, "RATE_LIMITED")
    assert refused.value.headers is not None
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 60


async def test_a_stranger_locks_out_only_his_own_address(redis: Redis) -> None:
    limiter = LoginLimiter(redis, per_account=3)
    for _ in range(3):
        await limiter.admit("ada", "6.6.6.6")
    with pytest.raises(Problem):
        await limiter.admit("ADA", "6.6.6.6")

    await limiter.admit("ada", "10.0.0.1")


async def test_an_address_that_tries_many_accounts_is_refused(redis: Redis) -> None:
    limiter = LoginLimiter(redis, per_account=3, per_address=5)
    for number in range(5):
        await limiter.admit(f"user{number}", "6.6.6.6")

    with pytest.raises(Problem):
        await limiter.admit("user9", "6.6.6.6")


async def test_logins_are_counted_together_by_all_processes(redis: Redis, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as other:
        limiters = [LoginLimiter(redis, per_account=4), LoginLimiter(other, per_account=4)]
        for number in range(4):
            await limiters[number % 2].admit("ada", "10.0.0.1")

        with pytest.raises(Problem):
            await limiters[0].admit("ada", "10.0.0.1")


async def test_no_account_name_is_kept_in_redis(redis: Redis) -> None:
    await LoginLimiter(redis).admit("canary-name", "10.0.0.1")

    keys = [str(key) async for key in redis.scan_iter()]
    assert keys
    assert not any("canary" in key for key in keys)


async def test_logins_go_on_and_stay_limited_while_redis_is_away(away: Redis) -> None:
    limiter = LoginLimiter(away, per_account=3)
    for _ in range(3):
        await limiter.admit("ada", "10.0.0.1")

    with pytest.raises(Problem):
        await limiter.admit("ada", "10.0.0.1")


@pytest.mark.usefixtures("impatient")
async def test_a_frozen_redis_holds_a_login_up_only_shortly(server_factory: ServerFactory) -> None:
    server = server_factory.valkey()
    server.start()
    async with Redis.from_url(server.url) as redis:
        limiter = LoginLimiter(redis)
        await limiter.admit("ada", "10.0.0.1")
        server.freeze()
        # Without a limit of its own it would wait for ever.
        async with asyncio.timeout(PATIENCE_SECONDS):
            await limiter.admit("ada", "10.0.0.1")
        server.thaw()


async def test_logins_are_counted_in_redis_again_when_it_is_back(
    server_factory: ServerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "REDIS_PAUSE_SECONDS", 0.0)
    server = server_factory.valkey()
    async with Redis.from_url(server.url) as redis:
        limiter = LoginLimiter(redis)
        await limiter.admit("ada", "10.0.0.1")
        server.start()
        await limiter.admit("ada", "10.0.0.1")

        assert [key async for key in redis.scan_iter()]


@pytest.mark.parametrize("per_minute", [1, 7, 100, 250])
async def test_a_principal_gets_its_requests_and_no_more(redis: Redis, per_minute: int) -> None:
    limiter = RequestLimiter(redis, per_minute, now=HandClock())

    assert await admitted(limiter, "ada", per_minute + 20) == per_minute
    assert await admitted(limiter, "bob", 1) == 1


async def test_two_processes_share_a_limit(redis: Redis) -> None:
    clock = HandClock()
    limiters = [RequestLimiter(redis, 200, now=clock) for _ in range(2)]

    let_through = await asyncio.gather(*(admitted(limiter, "ada", 300) for limiter in limiters))

    assert sum(let_through) == 200


async def test_the_next_minute_begins_anew(redis: Redis) -> None:
    clock = HandClock()
    limiter = RequestLimiter(redis, 5, now=clock)
    assert await admitted(limiter, "ada", 9) == 5

    clock.seconds += 59
    with pytest.raises(Problem) as refused:
        await limiter.admit("ada")
    assert refused.value.headers == {"Retry-After": "1"}
    clock.seconds += 1
    assert await admitted(limiter, "ada", 9) == 5


async def test_most_requests_ask_redis_nothing(redis: Redis) -> None:
    limiter = RequestLimiter(redis, 100_000, now=HandClock())
    before = (await redis.info("stats"))["total_commands_processed"]
    assert await admitted(limiter, "ada", 5_000) == 5_000
    after = (await redis.info("stats"))["total_commands_processed"]

    # Five leases of a thousand, two commands each, and what the connection says of itself.
    assert after - before < 30


async def test_leases_do_not_stay_in_redis(redis: Redis) -> None:
    await RequestLimiter(redis, 100).admit("ada")

    (key,) = [key async for key in redis.scan_iter()]
    assert 0 < await redis.ttl(key) <= 120


@pytest.mark.parametrize("has_redis", [True, False])
async def test_requests_are_counted_here_while_redis_is_away(away: Redis, has_redis: bool) -> None:
    limiter = RequestLimiter(away if has_redis else None, 50, now=HandClock())

    assert await admitted(limiter, "ada", 80) == 50


async def test_the_memory_of_principals_is_bounded() -> None:
    limiter = RequestLimiter(None, 50, now=HandClock())
    for number in range(PRINCIPALS_MAX + 10):
        await limiter.admit(str(number))

    assert len(limiter._permits) == PRINCIPALS_MAX
