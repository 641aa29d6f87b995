"""Schedules on real servers: one job for each time, however many clocks look and come late."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from events.contracts import schedule as facts
from events.contracts.job import JobSubmitted
from events.contracts.values import JobStatus, Origin
from events.domain.errors import DomainError
from events.domain.job import Job
from events.domain.schedule import CATCH_UP_MAX, Missed, Plan, Schedule, ScheduleStatus, Template
from events.domain.tool import Offer, Tool
from events.store.codec import Codec
from events.store.log import PostgresLog
from events.store.repository import StreamConflict
from events.store.scheduled_jobs import ScheduledJobs
from infrastructure.blobs.base import checked_key
from infrastructure.clock import SystemClock
from infrastructure.ids import uuid7
from tests.fixtures.events import origin
from tests.integration.processors.floor import Floor

CLOCKS = 5
MINUTE = timedelta(minutes=1)


def now() -> datetime:
    return SystemClock().now()


def at(moment: datetime) -> Origin:
    return origin(at=moment)


async def scheduled(
    floor: Floor,
    cron: str = "* * * * *",
    *,
    missed: Missed = Missed.COALESCE,
    since: timedelta,
    tool: str = "no-op",
    files: Mapping[str, bytes] | None = None,
) -> Schedule:
    """A schedule that was made so long ago, and has not fired since."""
    known = Tool.introduce(tool, origin(tenant="platform"))
    known.offer(Offer("7", "", ["*/*"], [], 0, 3, {}, 4, 60.0), origin(tenant="platform"))
    await floor.repository.save(known)
    schedule_id = uuid7()
    seal, key = floor.sealer.new_key(schedule_id, "acme", "user:1")
    inputs = [await floor.file(seal, content, each) for each, content in (files or {}).items()]
    template = Template(tool, seal.seal("options", "{}"), inputs=tuple(inputs))
    name = seal.seal("schedule name", "often")
    plan = Plan(cron, "UTC", missed)
    schedule = Schedule.create(schedule_id, name, plan, template, at(now() - since))
    await floor.repository.save(schedule, keys=[key])
    return schedule


async def history(floor: Floor, schedule: Schedule) -> list[Any]:
    rows = await PostgresLog(floor.pool).read_stream(schedule.id)
    return [Codec().decode_row(row).fact for row in rows]


async def fires(floor: Floor, schedule: Schedule) -> list[facts.ScheduleFired]:
    told = await history(floor, schedule)
    return [fact for fact in told if isinstance(fact, facts.ScheduleFired)]


async def submissions(floor: Floor) -> list[JobSubmitted]:
    rows = await PostgresLog(floor.pool).read_after(0)
    decoded = [Codec().decode_row(row).fact for row in rows]
    return [fact for fact in decoded if isinstance(fact, JobSubmitted)]


async def has_caught_up(floor: Floor, schedule: Schedule) -> bool:
    """Whether nothing is owed any more; a minute may pass meanwhile."""
    loaded = await floor.repository.load(Schedule, schedule.id)
    return loaded.next_at is not None and loaded.next_at > now()


async def test_a_time_that_has_come_gives_a_job_that_runs(floor: Floor) -> None:
    await floor.dispatcher()
    schedule = await scheduled(floor, since=MINUTE)
    await floor.worker()

    await floor.clock()
    await floor.until(lambda: has_caught_up(floor, schedule), "it never fired")

    fired, *_ = await fires(floor, schedule)
    submitted = (await submissions(floor))[0]
    job = await floor.repository.load(Job, UUID(fired.job))
    await floor.until_status(job, JobStatus.SUCCEEDED)
    assert (submitted.schedule, submitted.tick) == (str(schedule.id), fired.tick)
    assert (submitted.queue, submitted.actor, submitted.owner) == ("default", "clock", "user:1")
    assert submitted.tool_version == "1.0.0", "the tool as it is offered when the time comes"
    assert fired.tick is not None
    assert datetime.fromisoformat(fired.tick) <= now()


async def test_the_jobs_of_a_schedule_run_on_its_files_and_leave_them(floor: Floor) -> None:
    await floor.dispatcher()
    schedule = await scheduled(
        floor,
        missed=Missed.CATCH_UP,
        since=2 * MINUTE,
        tool="copier",
        files={"a.txt": b"first", "b.txt": b"the second"},
    )
    files = schedule.template.inputs
    await floor.worker()

    await floor.clock()
    await floor.until(lambda: has_caught_up(floor, schedule), "it never fired")

    for fired in (await fires(floor, schedule))[:2]:
        job = await floor.repository.load(Job, UUID(fired.job))
        done = await floor.until_status(job, JobStatus.SUCCEEDED)
        assert [file.blob_key for file in done.inputs] == [file.blob_key for file in files]
        assert {file.name for file in done.inputs}.isdisjoint(file.name for file in files)
        assert [file.sha256 for file in done.outputs] == [file.sha256 for file in files]
    assert [await floor.blobs.size(checked_key(file.blob_key)) for file in files] == [5, 10]


async def test_no_job_names_files_that_were_given_up_before_it(floor: Floor) -> None:
    schedule = await scheduled(floor, since=2 * MINUTE, files={"a.txt": b"first"})
    jobs = ScheduledJobs(floor.repository, PostgresLog(floor.pool), floor.sealer)
    known = await floor.repository.load(Schedule, schedule.id)
    await floor.repository.change(Schedule, schedule.id, lambda found: found.delete(at(now())))

    with pytest.raises(StreamConflict):
        await jobs.take(known, at(now()))

    assert await submissions(floor) == []


async def test_the_next_time_is_kept_in_the_tables_and_gone_with_a_pause(floor: Floor) -> None:
    await floor.dispatcher()
    schedule = await scheduled(floor, "0 0 1 1 *", since=timedelta())

    async def timers() -> list[datetime]:
        found = await floor.rows("SELECT at FROM work.timers WHERE timer = 'schedule'")
        return [row["at"] for row in found]

    async def is_kept() -> bool:
        return await timers() == [schedule.next_at]

    await floor.until(is_kept, "the next time is not kept")
    assert schedule.next_at == datetime(now().year + 1, 1, 1, tzinfo=UTC)
    await floor.repository.change(Schedule, schedule.id, lambda found: found.pause(at(now())))

    async def is_gone() -> bool:
        return not await timers()

    await floor.until(is_gone, "a paused schedule keeps its timer")


async def test_many_who_fire_at_once_make_one_job_for_each_time(floor: Floor) -> None:
    """Not clocks, which elect one of them, but what is left when that election fails."""
    schedule = await scheduled(floor, missed=Missed.CATCH_UP, since=20 * MINUTE)
    jobs = ScheduledJobs(floor.repository, PostgresLog(floor.pool), floor.sealer)
    until = now()

    async def clock() -> int:
        made = 0
        while True:
            loaded = await floor.repository.load(Schedule, schedule.id)
            try:
                made += (await jobs.take(loaded, at(until))).job is not None
            except StreamConflict:
                continue
            except DomainError:
                return made

    made = await asyncio.gather(*(clock() for _ in range(CLOCKS)))

    fired = await fires(floor, schedule)
    ticks = [fact.tick for fact in fired]
    assert sum(made) == len(fired) == len(set(ticks)) == 20
    assert ticks == sorted(ticks, key=str)
    submitted = await submissions(floor)
    assert sorted(str(fact.originator_id) for fact in submitted) == sorted(f.job for f in fired)
    assert [fact.tick for fact in submitted] == ticks


async def test_clocks_that_compete_and_fall_make_one_job_for_each_time(floor: Floor) -> None:
    await floor.dispatcher()
    schedule = await scheduled(floor, missed=Missed.CATCH_UP, since=30 * MINUTE)
    leader = await floor.clock()
    for _ in range(CLOCKS - 1):
        await floor.clock()

    async def has_begun() -> bool:
        return bool(await fires(floor, schedule))

    await floor.until(has_begun, "it never fired")
    await leader.cut()
    await floor.until(lambda: has_caught_up(floor, schedule), "nobody went on")

    ticks = [fact.tick for fact in await fires(floor, schedule)]
    assert len(ticks) == len(set(ticks)) >= 30
    assert [fact.tick for fact in await submissions(floor)] == ticks


async def test_a_clock_that_was_away_for_a_thousand_times_owes_one_job(floor: Floor) -> None:
    await floor.dispatcher()
    schedule = await scheduled(floor, since=1_000 * MINUTE)

    await floor.clock()
    await floor.until(lambda: has_caught_up(floor, schedule), "it never fired")

    first = (await fires(floor, schedule))[0]
    assert first.passed_over in {999, 1_000}, "one more if a minute passed before"
    assert len(await submissions(floor)) <= 2, "one for all that was missed, one if a minute passed"


async def test_a_clock_that_was_away_for_a_thousand_times_catches_up_with_a_limit(
    floor: Floor,
) -> None:
    await floor.dispatcher()
    schedule = await scheduled(floor, missed=Missed.CATCH_UP, since=1_000 * MINUTE)

    await floor.clock()
    await floor.until(lambda: has_caught_up(floor, schedule), "it never caught up")

    fired = await fires(floor, schedule)
    assert CATCH_UP_MAX <= len(fired) <= CATCH_UP_MAX + 2
    assert fired[0].passed_over - 1_000 + CATCH_UP_MAX in {0, 1}, "one if a minute passed before"
    assert sum(fact.passed_over for fact in fired[1:]) == 0


async def test_a_schedule_that_was_kept_is_read_from_where_it_was(floor: Floor) -> None:
    schedule = await scheduled(floor, since=timedelta())
    log = PostgresLog(floor.pool)
    jobs = ScheduledJobs(floor.repository, log, floor.sealer)
    known = await jobs.load(schedule.id)
    jobs.keep(known)
    await floor.repository.change(Schedule, schedule.id, lambda found: found.pause(at(now())))

    again = await jobs.load(schedule.id)

    assert again is known, "it was folded onto what was there"
    assert (again.version, again.is_paused) == (2, True)
    anew = await jobs.load(schedule.id)
    assert anew is not known, "what was not kept is read anew"
    assert vars(anew) == vars(again)


async def test_a_schedule_that_skips_owes_nothing(floor: Floor) -> None:
    await floor.dispatcher()
    schedule = await scheduled(floor, "0 0 1 1 *", missed=Missed.SKIP, since=timedelta(days=800))

    await floor.clock()
    await floor.until(lambda: has_caught_up(floor, schedule), "it never went on")

    _, skipped = await history(floor, schedule)
    assert isinstance(skipped, facts.ScheduleSkipped)
    assert skipped.passed_over >= 2
    assert await submissions(floor) == []


async def test_a_schedule_whose_words_were_erased_ends(floor: Floor) -> None:
    await floor.dispatcher()
    schedule = await scheduled(floor, since=5 * MINUTE)
    await floor.rows("DELETE FROM keys.subject_keys WHERE subject_id = $1", schedule.id)

    await floor.clock()

    async def has_ended() -> bool:
        loaded = await floor.repository.load(Schedule, schedule.id)
        return loaded.status is ScheduleStatus.DELETED

    await floor.until(has_ended, "it comes up again and again")
    assert await submissions(floor) == []
