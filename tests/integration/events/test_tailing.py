"""Readers that tail the log while writers append lose nothing and see everything in order.

Each of these storms has made some other event store lose events: numbers that are taken before the
commit, a huge append over small ones, rollbacks, a transaction left open elsewhere.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest

from events.domain.job import Job
from events.store.append import Append, PostgresAppender, StreamConflict
from events.store.codec import Codec
from events.store.log import TAIL_SETTINGS, PostgresLog
from events.store.repository import Repository
from infrastructure.postgres import Connection, Role, connect
from tests.fixtures.events import origin, submitted_job

WRITERS = 4
DEADLINE_SECONDS = 120


@asynccontextmanager
async def writers(url: str, count: int = WRITERS) -> AsyncIterator[list[Repository]]:
    """Appenders as in so many processes, each with its own connection.

    They connect before the storm: in this one process it keeps a new connection from its answer.
    """
    async with asyncpg.create_pool(url, min_size=1, max_size=count) as pool:
        appenders = [PostgresAppender(url, Role.PROCESSORS) for _ in range(count)]
        for appender in appenders:
            assert await appender.answer_to(uuid4()) is None
        repositories = [Repository(PostgresLog(pool), appender) for appender in appenders]
        yield repositories
        for repository in repositories:
            await repository.close()


async def tail(connection: Connection, seen: list[int], until: asyncio.Event) -> None:
    """Read on from the last position seen, as the relay does, until told and at the head."""
    await connection.execute(TAIL_SETTINGS)
    log = PostgresLog(connection)  # type: ignore[arg-type]
    while True:
        finished = until.is_set()
        rows = await log.read_after(seen[-1] if seen else 0, 500)
        seen.extend(row.position for row in rows)
        if finished and not rows:
            break
        await asyncio.sleep(0)


async def storm(url: str, *work: Callable[[], object]) -> list[int]:
    """Run the work while two readers tail; returns what both of them saw."""
    first: list[int] = []
    second: list[int] = []
    done = asyncio.Event()
    readers = [await connect(url, Role.RELAY) for _ in range(2)]
    tails = [
        asyncio.create_task(tail(reader, seen, done))
        for reader, seen in zip(readers, (first, second), strict=True)
    ]
    await asyncio.wait_for(asyncio.gather(*(one() for one in work)), DEADLINE_SECONDS)
    done.set()
    await asyncio.wait_for(asyncio.gather(*tails), DEADLINE_SECONDS)
    for reader in readers:
        await reader.close()
    assert first == second
    return first


async def small_appends(repository: Repository, count: int) -> None:
    await asyncio.gather(*(repository.save(submitted_job()) for _ in range(count)))


async def one_by_one(repository: Repository, count: int) -> None:
    for _ in range(count):
        await repository.save(submitted_job())


async def huge_append(repository: Repository, jobs: int) -> None:
    await repository.save(*(submitted_job() for _ in range(jobs)))


async def test_many_writers_lose_nothing(database_url: str) -> None:
    async with writers(database_url) as repositories:
        seen = await storm(
            database_url,
            *(lambda r=r: small_appends(r, 400) for r in repositories),
            *(lambda r=r: one_by_one(r, 100) for r in repositories),
        )

    assert seen == list(range(1, WRITERS * 500 + 1))


async def test_a_huge_append_over_small_ones_loses_nothing(database_url: str) -> None:
    async with writers(database_url) as repositories:
        seen = await storm(
            database_url,
            *(lambda r=r: one_by_one(r, 200) for r in repositories[1:]),
            *(lambda: huge_append(repositories[0], 1_000) for _ in range(5)),
        )

    assert seen == list(range(1, 3 * 200 + 5_000 + 1))


async def test_a_storm_of_rollbacks_leaves_no_holes(database_url: str) -> None:
    async with writers(database_url) as repositories:
        contested = submitted_job()
        await repositories[0].save(contested)

        async def fight(repository: Repository) -> int:
            lost = 0
            for _ in range(50):
                job = await repository.load(Job, contested.id)
                job.hand_back(job.start_attempt("worker", "L1", origin()), origin())
                try:
                    await repository.save(job)
                except StreamConflict:
                    lost += 1
            return lost

        losses: list[int] = []

        async def fight_and_count(repository: Repository) -> None:
            losses.append(await fight(repository))

        seen = await storm(
            database_url,
            *(lambda r=r: fight_and_count(r) for r in repositories),
            *(lambda r=r: small_appends(r, 200) for r in repositories),
        )

    assert sum(losses) > 0, "nobody clashed, so nothing was shown"
    won = WRITERS * 50 - sum(losses)
    assert seen == list(range(1, 1 + WRITERS * 200 + 2 * won + 1))


async def test_a_transaction_left_open_elsewhere_delays_nobody(
    database_url: str, temporary_database: Callable[[], str]
) -> None:
    elsewhere = await asyncpg.connect(temporary_database())
    transaction = elsewhere.transaction()
    await transaction.start()
    await elsewhere.execute("CREATE TABLE busy (x int); INSERT INTO busy VALUES (1)")

    async with writers(database_url, 1) as [repository]:
        seen = await storm(database_url, lambda: one_by_one(repository, 50))

    assert seen == list(range(1, 51))
    await transaction.rollback()
    await elsewhere.close()


async def test_a_cancelled_caller_leaves_the_log_whole(database_url: str) -> None:
    async with writers(database_url, 1) as [repository]:
        saves = [asyncio.create_task(repository.save(submitted_job())) for _ in range(100)]
        await asyncio.sleep(0)
        for save in saves[::3]:
            save.cancel()
        await asyncio.gather(*saves, return_exceptions=True)
        await repository.save(submitted_job())

        async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
            rows = await PostgresLog(pool).read_after(0)

    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 67


@pytest.mark.parametrize("kills", [1, 5])
async def test_a_broken_connection_records_each_append_once(database_url: str, kills: int) -> None:
    """Backends are killed while appends are under way; every outcome is found out."""
    admin = await asyncpg.connect(database_url)
    async with writers(database_url, 2) as repositories:
        jobs = [submitted_job() for _ in range(600)]

        async def save_all() -> Sequence[object]:
            return await asyncio.gather(
                *(repositories[i % 2].save(job) for i, job in enumerate(jobs)),
                return_exceptions=True,
            )

        saving = asyncio.create_task(save_all())
        for _ in range(kills):
            await asyncio.sleep(0)
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'magictoolbox:mt_processors' "
                "AND datname = current_database()"
            )
        results = await asyncio.wait_for(saving, DEADLINE_SECONDS)

    errors = [result for result in results if isinstance(result, Exception)]
    rows = await admin.fetch(
        "SELECT notification_id, originator_id FROM event_store.stored_events ORDER BY 1"
    )
    await admin.close()
    assert errors == []
    assert [row["notification_id"] for row in rows] == list(range(1, 601))
    assert {row["originator_id"] for row in rows} == {job.id for job in jobs}


async def test_the_same_bytes_sent_again_after_a_lost_answer_are_recognised(
    database_url: str,
) -> None:
    """What `_record` does when the commit went through and the answer did not come back."""
    appender = PostgresAppender(database_url, Role.PROCESSORS)
    job = submitted_job()
    append = Append("acme", [Codec().to_stored_event(job.collect_events()[0])])
    [first] = await appender.append(append)

    connection = await appender._connected()
    [again] = await appender._one_by_one(connection, [append], lost_touch=True)

    assert again == [first]
    await appender.close()
