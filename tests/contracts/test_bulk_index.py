"""What the index of bulk operations promises, held against PostgreSQL and its twin in memory."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from events.contracts.bulk import BulkAction
from events.contracts.values import JobStatus
from events.domain.bulk import NO_JOB, BulkFilter, BulkOperation
from events.domain.job import Job
from events.store.log import Log
from events.store.repository import Repository
from processors.bulk.index import BulkIndex, PostgresBulkIndex
from processors.bulk.memory import MemoryBulkIndex
from processors.work import PostgresWork, WorkStore
from processors.work_memory import MemoryWork
from tests.fixtures.bulk import fold_work, jobs_in, requested
from tests.fixtures.events import Store, origin

FAR = 10**9
DEAD = BulkFilter((JobStatus.FAILED,))


@dataclass
class Shelf:
    index: BulkIndex
    log: Log
    work: WorkStore
    repository: Repository


@pytest.fixture
async def postgres_shelf(postgres_store: Store, database_url: str) -> AsyncIterator[Shelf]:
    index, work = PostgresBulkIndex(database_url), PostgresWork(database_url)
    yield Shelf(index, postgres_store.log, work, postgres_store.repository)
    await index.close()
    await work.close()


@pytest.fixture
def memory_shelf(memory_store: Store) -> Shelf:
    work = MemoryWork()
    index = MemoryBulkIndex(memory_store.log, work)
    return Shelf(index, memory_store.log, work, memory_store.repository)


@pytest.fixture(params=["postgres_shelf", "memory_shelf"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return request.getfixturevalue(request.param)


async def test_dead_letters_are_found_by_state_and_code(shelf: Shelf) -> None:
    failed = await jobs_in(shelf.repository, JobStatus.FAILED, 3)
    cancelled = await jobs_in(shelf.repository, JobStatus.CANCELLED, 1)
    await jobs_in(shelf.repository, JobStatus.SUCCEEDED, 1)
    coded = BulkFilter((JobStatus.FAILED,), error_code="CORRUPT_FILE")
    other = BulkFilter((JobStatus.FAILED,), error_code="TOOL_TIMEOUT")
    both = BulkFilter((JobStatus.FAILED, JobStatus.CANCELLED))

    assert await shelf.index.catch_up()

    for wanted, found in ((DEAD, failed), (coded, failed), (other, []), (both, failed + cancelled)):
        assert await shelf.index.dead("acme", wanted, FAR, NO_JOB, 10) == sorted(found)
    assert await shelf.index.dead("globex", DEAD, FAR, NO_JOB, 10) == []


async def test_dead_letters_come_in_pages(shelf: Shelf) -> None:
    failed = sorted(await jobs_in(shelf.repository, JobStatus.FAILED, 5))
    await shelf.index.catch_up()

    first = await shelf.index.dead("acme", DEAD, FAR, NO_JOB, 3)
    rest = await shelf.index.dead("acme", DEAD, FAR, first[-1], 3)

    assert (first, rest) == (failed[:3], failed[3:])


async def test_a_job_that_was_reopened_or_that_failed_later_is_no_candidate(shelf: Shelf) -> None:
    reopened, kept = await jobs_in(shelf.repository, JobStatus.FAILED, 2)
    await shelf.index.catch_up()
    await shelf.repository.change(Job, reopened, lambda job: job.reopen(origin()))
    position = await shelf.log.head() + 1
    await jobs_in(shelf.repository, JobStatus.FAILED, 1)

    await shelf.index.catch_up()

    assert await shelf.index.dead("acme", DEAD, position, NO_JOB, 10) == [kept]


async def test_unfinished_jobs_are_found_once_the_tables_know_the_request(shelf: Shelf) -> None:
    queued = await jobs_in(shelf.repository, JobStatus.QUEUED, 3, tool="checksum")
    await jobs_in(shelf.repository, JobStatus.QUEUED, 1)
    await jobs_in(shelf.repository, JobStatus.FAILED, 1, tool="checksum")
    wanted, head = BulkFilter((JobStatus.QUEUED,), tool="checksum"), await shelf.log.head()

    early = await shelf.index.unfinished("acme", wanted, head, NO_JOB, 10)
    await fold_work(shelf.log, shelf.work)
    found = await shelf.index.unfinished("acme", wanted, head, NO_JOB, 10)

    assert (early, found) == (None, sorted(queued))
    beyond = await shelf.index.unfinished("acme", wanted, head, sorted(queued)[0], 1)
    assert beyond == sorted(queued)[1:2]


async def test_operations_are_open_until_they_end(shelf: Shelf) -> None:
    first = await requested(shelf.repository, BulkAction.CANCEL)
    second = await requested(shelf.repository, BulkAction.RETRY)
    await shelf.index.catch_up()
    opened = [each.bulk_id for each in await shelf.index.open()]
    await shelf.repository.change(BulkOperation, first, lambda bulk: bulk.cancel(origin()))

    await shelf.index.catch_up()

    assert opened == [first, second]
    assert [each.bulk_id for each in await shelf.index.open()] == [second]


async def test_another_one_goes_on_from_where_the_tables_stand(
    postgres_shelf: Shelf, database_url: str
) -> None:
    failed = await jobs_in(postgres_shelf.repository, JobStatus.FAILED, 2)
    await postgres_shelf.index.catch_up()
    more = await jobs_in(postgres_shelf.repository, JobStatus.FAILED, 1)
    other = PostgresBulkIndex(database_url)

    assert await other.catch_up()

    expected = sorted(failed + more)
    assert await postgres_shelf.index.dead("acme", DEAD, FAR, NO_JOB, 10) == expected
    await other.reset()
    assert await other.dead("acme", DEAD, FAR, NO_JOB, 10) == []
    await other.catch_up()
    assert await other.dead("acme", DEAD, FAR, NO_JOB, 10) == expected
    await other.close()
