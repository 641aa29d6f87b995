"""What the references to blobs promise, held against PostgreSQL and its twin in memory."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
from structlog.testing import capture_logs

from events.store.repository import Repository
from infrastructure.blobs.base import BlobKey, blob_id_of, new_blob_key
from infrastructure.blobs.memory import MemoryBlobStore
from processors.sweeper.memory import MemoryReferences
from processors.sweeper.postgres import EVENTS_MAX, PostgresReferences
from processors.sweeper.references import References
from tests.factories.blob_lives import BlobLives
from tests.fixtures.events import Store, origin, submitted_job


@dataclass
class Desk:
    references: References
    repository: Repository


@pytest.fixture
async def postgres_desk(postgres_store: Store, database_url: str) -> AsyncIterator[Desk]:
    references = PostgresReferences(database_url)
    yield Desk(references, postgres_store.repository)
    await references.close()


@pytest.fixture
def memory_desk(memory_store: Store) -> Desk:
    return Desk(MemoryReferences(memory_store.log), memory_store.repository)


@pytest.fixture(params=["postgres_desk", "memory_desk"])
def desk(request: pytest.FixtureRequest) -> Desk:
    return request.getfixturevalue(request.param)


async def test_each_kind_of_blob_is_told_from_the_others(desk: Desk) -> None:
    lives = BlobLives(desk.repository, MemoryBlobStore())
    await lives.fill()
    ids = {blob_id_of(key): kind for kind, key in (lives.needed | lives.left).items()}

    assert await desk.references.catch_up()

    found = {ids[each] for each in await desk.references.unreferenced(list(ids))}
    assert found == set(lives.left)


async def test_what_changes_between_two_looks_is_caught_up(desk: Desk) -> None:
    job = await BlobLives(desk.repository, MemoryBlobStore()).job()
    (given,) = ids = [blob_id_of(BlobKey(job.inputs[0].blob_key))]
    assert await desk.references.catch_up()
    assert await desk.references.unreferenced(ids) == {given}

    await desk.repository.save(job)
    assert await desk.references.catch_up()
    assert await desk.references.unreferenced(ids) == set()

    lease = job.start_attempt("worker:1", "L1", origin())
    job.succeed(lease, [], 1, {}, origin())
    await desk.repository.save(job)
    assert await desk.references.catch_up()
    assert await desk.references.unreferenced(ids) == {given}
    with capture_logs() as logs:
        await desk.references.begin()
    assert logs == [], "it lost count of its rows"


async def test_a_long_log_is_caught_up_in_steps(desk: Desk) -> None:
    await desk.repository.save(*(submitted_job() for _ in range(EVENTS_MAX)))
    await desk.repository.save(submitted_job())

    assert not await desk.references.catch_up()
    assert await desk.references.catch_up()


async def test_where_a_pass_stopped_is_remembered(desk: Desk) -> None:
    standing = await desk.references.begin()
    assert (standing.log_began, standing.place) == (None, None)
    await desk.repository.save(submitted_job())
    place = new_blob_key("acme")

    await desk.references.keep_place(place)

    standing = await desk.references.begin()
    assert standing.place == place
    assert standing.log_began is not None
    await desk.references.keep_place(None)
    assert (await desk.references.begin()).place is None


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM work.blob_references WHERE part = 'output'",
        "TRUNCATE work.blob_references",
        "UPDATE work.blob_checkpoint SET position = position + 1000",
    ],
)
async def test_rows_that_were_damaged_are_made_anew(
    damage: str, postgres_desk: Desk, database_url: str
) -> None:
    lives = BlobLives(postgres_desk.repository, MemoryBlobStore())
    await lives.fill()
    await postgres_desk.references.catch_up()
    connection = await asyncpg.connect(database_url)
    await connection.execute(damage)
    await connection.close()

    await postgres_desk.references.begin()
    assert await postgres_desk.references.catch_up()

    needed = [blob_id_of(key) for key in lives.needed.values()]
    assert await postgres_desk.references.unreferenced(needed) == set()


async def test_two_may_catch_up_at_once(postgres_desk: Desk, database_url: str) -> None:
    lives = BlobLives(postgres_desk.repository, MemoryBlobStore())
    other = PostgresReferences(database_url)
    try:
        for _ in range(5):
            await lives.fill()
            await asyncio.gather(other.catch_up(), postgres_desk.references.catch_up())
            needed = [blob_id_of(key) for key in lives.needed.values()]
            assert await other.unreferenced(needed) == set()
        with capture_logs() as logs:
            await other.begin()
    finally:
        await other.close()

    # What was folded twice would have been counted twice.
    assert logs == []
