"""What the log promises, held against PostgreSQL and its in-memory twin alike."""

import asyncio
from uuid import UUID

import pytest

from events.contracts.values import JobStatus
from events.domain.errors import NotFound
from events.domain.job import Job
from events.domain.tool import Tool
from events.store.append import Append, Command, CommandRepeated, StreamConflict
from events.store.codec import Codec
from infrastructure.ids import uuid7
from tests.fixtures.events import Store, origin, submitted_job


async def positions(store: Store) -> list[int]:
    return [row.position for row in await store.log.read_after(0)]


async def test_what_was_saved_is_loaded_again(store: Store) -> None:
    job = submitted_job()
    job.start_attempt("worker:1", "L1", origin())

    saved = await store.repository.save(job)
    loaded = await store.repository.load(Job, job.id)

    assert saved.positions == (1, 2)
    assert loaded.status is JobStatus.RUNNING
    assert loaded == job


async def test_a_past_version_is_loaded_as_it_was(store: Store) -> None:
    job = submitted_job()
    job.start_attempt("worker:1", "L1", origin())
    await store.repository.save(job)

    loaded = await store.repository.load(Job, job.id, version=1)

    assert (loaded.version, loaded.status) == (1, JobStatus.QUEUED)


async def test_an_unknown_aggregate_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.repository.load(Job, uuid7())


async def test_an_aggregate_of_another_kind_is_not_found(store: Store) -> None:
    job = submitted_job()
    await store.repository.save(job)

    with pytest.raises(NotFound):
        await store.repository.load(Tool, job.id)


async def test_positions_are_contiguous_and_in_order(store: Store) -> None:
    await asyncio.gather(*(store.repository.save(submitted_job()) for _ in range(300)))

    assert await positions(store) == list(range(1, 301))
    assert await store.log.head() == 300


async def test_recorded_times_never_fall(store: Store) -> None:
    await asyncio.gather(*(store.repository.save(submitted_job()) for _ in range(50)))

    times = [row.recorded_at for row in await store.log.read_after(0)]

    assert times == sorted(times)


async def test_a_conflict_fails_only_its_own_append(store: Store) -> None:
    job = submitted_job()
    await store.repository.save(job)
    rivals = [await store.repository.load(Job, job.id) for _ in range(5)]
    for number, rival in enumerate(rivals):
        rival.start_attempt(f"worker:{number}", "L1", origin())
    others = [submitted_job() for _ in range(20)]

    results = await asyncio.gather(
        *(store.repository.save(one) for one in (*rivals, *others)), return_exceptions=True
    )

    conflicts = [result for result in results if isinstance(result, StreamConflict)]
    assert len(conflicts) == 4
    assert not [r for r in results if isinstance(r, Exception) and r not in conflicts]
    assert await positions(store) == list(range(1, 23))


async def test_an_append_of_several_aggregates_is_all_or_nothing(store: Store) -> None:
    taken, fresh = submitted_job(), submitted_job()
    await store.repository.save(taken)
    again = submitted_job(taken.id)

    with pytest.raises(StreamConflict):
        await store.repository.save(fresh, again)

    assert await store.log.first_event(fresh.id) is None
    assert await positions(store) == [1]


async def test_a_repeated_command_gets_the_first_answer(store: Store) -> None:
    first, second = submitted_job(), submitted_job()
    command_id = uuid7()
    await store.repository.save(submitted_job())
    await store.repository.save(first, command=command_for(first.id, command_id, b"same"))

    with pytest.raises(CommandRepeated) as repeated:
        await store.repository.save(second, command=command_for(second.id, command_id, b"other"))

    assert repeated.value.answer.originator_id == first.id
    assert repeated.value.answer.position == 2
    assert repeated.value.answer.fingerprint == b"same"
    assert await store.repository.answer_to(command_id) == repeated.value.answer
    assert await store.log.head() == 2


async def test_of_two_equal_commands_at_once_one_is_recorded(store: Store) -> None:
    jobs = [submitted_job() for _ in range(10)]
    command_id = uuid7()

    results = await asyncio.gather(
        *(
            store.repository.save(job, command=command_for(job.id, command_id, b"same"))
            for job in jobs
        ),
        return_exceptions=True,
    )

    answers = {r.answer.originator_id for r in results if isinstance(r, CommandRepeated)}
    recorded = [r for r in results if not isinstance(r, BaseException)]
    assert len(recorded) == 1
    assert answers == {recorded[0].facts[0].originator_id}


async def test_an_unknown_command_has_no_answer(store: Store) -> None:
    assert await store.repository.answer_to(uuid7()) is None


async def test_a_lost_race_is_decided_again(store: Store) -> None:
    job = submitted_job()
    await store.repository.save(job)
    decided: list[int] = []

    def claim_and_hand_back(found: Job) -> None:
        decided.append(found.version)
        found.hand_back(found.start_attempt("worker", "L1", origin()), origin())

    await asyncio.gather(
        *(store.repository.change(Job, job.id, claim_and_hand_back) for _ in range(4))
    )

    final = await store.repository.load(Job, job.id)
    assert (final.version, final.lease, final.attempt) == (9, 4, 0)
    assert len(decided) >= 4


async def test_reading_pages_through_the_log(store: Store) -> None:
    for _ in range(7):
        await store.repository.save(submitted_job())

    pages = [await store.log.read_after(after, 3) for after in (0, 3, 6, 7)]

    assert [[row.position for row in page] for page in pages] == [[1, 2, 3], [4, 5, 6], [7], []]


async def test_streams_are_read_in_one_go(store: Store) -> None:
    jobs = [submitted_job() for _ in range(3)]
    for job in jobs:
        await store.repository.save(job)

    streams = await store.log.read_streams([jobs[0].id, uuid7(), jobs[2].id])

    assert set(streams) == {jobs[0].id, jobs[2].id}


async def test_the_state_is_stored_byte_for_byte(store: Store) -> None:
    job = submitted_job()
    stored = Codec().to_stored_event(job.collect_events()[0])

    await store.appender.append(Append("acme", [stored]))

    [row] = await store.log.read_stream(job.id)
    assert (row.state, row.topic, row.tenant) == (stored.state, stored.topic, "acme")


async def test_an_empty_append_records_nothing(store: Store) -> None:
    assert await store.appender.append(Append("acme", [])) == []
    assert await store.log.head() == 0


def command_for(job_id: UUID, command_id: UUID, fingerprint: bytes) -> Command:
    return Command(command_id, "acme", fingerprint, job_id)
