"""One leads, the others stand by; on a real Postgres that dies, freezes and loses sessions."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from infrastructure import leadership
from infrastructure.leadership import Leadership, advisory_key
from tests.fixtures.servers import ServerFactory

SECONDS_MAX = 60.0


@pytest.fixture
async def lead(empty_database_url: str) -> AsyncIterator[Callable[[str], Leadership]]:
    made: list[Leadership] = []

    def make(key: str) -> Leadership:
        made.append(Leadership(empty_database_url, None, key))
        return made[-1]

    yield make
    for leader in made:
        await leader.release()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)


async def test_only_one_leads(lead: Callable[[str], Leadership]) -> None:
    first, second = lead("relay"), lead("relay")

    assert await first.hold()
    assert not await second.hold()
    assert await first.hold()
    assert (first.is_held, second.is_held) == (True, False)


async def test_each_duty_has_its_own_leader(lead: Callable[[str], Leadership]) -> None:
    assert await lead("relay").hold()
    assert await lead("clock").hold()


async def test_a_standby_takes_over_when_the_leader_lets_go(
    lead: Callable[[str], Leadership],
) -> None:
    first, second = lead("relay"), lead("relay")
    await first.hold()
    assert not await second.hold()

    await first.release()

    await until(second.hold)
    assert not first.is_held
    assert not await first.hold()


async def test_a_leader_notices_at_once_that_its_session_was_ended(
    lead: Callable[[str], Leadership], empty_database_url: str
) -> None:
    first, second = lead("relay"), lead("relay")
    await first.hold()
    admin = await asyncpg.connect(empty_database_url)
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
    )
    await admin.close()

    await asyncio.wait_for(first.lost.wait(), SECONDS_MAX)

    assert not first.is_held
    assert await second.hold()
    assert not await first.hold()


async def test_a_leader_whose_session_freezes_stops_leading(
    lead: Callable[[str], Leadership], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadership, "KEEPALIVE_SECONDS", 0.0)
    monkeypatch.setattr(leadership, "ANSWER_SECONDS_MAX", 0.3)
    first, second = lead("relay"), lead("relay")
    assert await first.hold()
    assert first._connection is not None
    session = await first._connection.fetchval("SELECT pg_backend_pid()")

    os.kill(session, signal.SIGSTOP)
    try:
        assert not await asyncio.wait_for(first.hold(), SECONDS_MAX)
        assert first.lost.is_set()
        # The frozen session still has the lock: nobody leads, which is safe.
        assert not await second.hold()
    finally:
        os.kill(session, signal.SIGCONT)

    await until(second.hold)
    assert not await first.hold()


async def test_leadership_comes_back_after_a_restart_of_the_server(
    server_factory: ServerFactory,
) -> None:
    server = server_factory.postgres()
    server.start()
    leader = Leadership(server.url, None, "relay")
    assert await leader.hold()

    server.kill()
    await asyncio.wait_for(leader.lost.wait(), SECONDS_MAX)
    assert not await leader.hold()
    with pytest.raises(OSError):  # noqa: PT011 - whichever way the connection is refused
        await leader.hold()
    server.start()

    assert await leader.hold()
    await leader.release()


async def test_between_its_checks_a_leader_asks_nothing(
    lead: Callable[[str], Leadership], empty_database_url: str
) -> None:
    leader = lead("relay")
    await leader.hold()
    admin = await asyncpg.connect(empty_database_url)
    last_query = (
        "SELECT query FROM pg_stat_activity WHERE application_name LIKE 'magictoolbox%' LIMIT 1"
    )
    for _ in range(1_000):
        assert await leader.hold()

    assert "pg_try_advisory_lock" in await admin.fetchval(last_query)
    await admin.close()


async def test_release_without_a_lead_does_nothing(lead: Callable[[str], Leadership]) -> None:
    leader = lead("relay")

    await leader.release()
    await leader.release()

    assert await leader.hold()


def test_a_duty_has_the_same_lock_everywhere() -> None:
    """Two releases that run side by side must contend for one lock."""
    assert advisory_key("relay") == -3882218299029469193
    assert advisory_key("relay") != advisory_key("dispatcher")
    assert -(2**63) <= advisory_key("x" * 1_000) < 2**63
