"""Workers on real servers: claims, leases, fencing, cancelling, leaving."""

import asyncio
import os
from pathlib import Path
from typing import Any

from events.contracts.job import AttemptStarted
from events.contracts.subjects import READY_STREAM, ready_subject
from events.contracts.values import DEFAULT_QUEUE, JobStatus
from infrastructure.ids import uuid7
from tests.factories.tools import Gate, folders_in
from tests.fixtures.events import origin
from tests.integration.processors.floor import Floor

SUCCEEDED, FAILED, QUEUED = JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.QUEUED


async def test_a_job_runs_from_its_submission_to_its_result(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.worker()

    job = await floor.submit("copier", b"some text")

    job = await floor.until_status(job, SUCCEEDED)
    assert await floor.topics(job) == ["submitted", "attempt_started", "attempt_succeeded"]
    (output,) = job.outputs
    assert floor.seals[job.id].open("name", output.name) == "0-notes.txt"
    blob = floor.blobs.local_path(output.blob_key)  # type: ignore[arg-type]
    assert blob is not None
    assert blob.read_bytes() == b"some text"
    assert folders_in(floor.work_folder) == []


async def test_what_a_killed_worker_left_is_removed_by_another(floor: Floor) -> None:
    left = floor.work_folder / "run-left"
    (left / "work").mkdir(parents=True)
    os.utime(left, (0, 0))

    await floor.worker()

    async def is_gone() -> bool:
        return not await asyncio.to_thread(left.exists)

    await floor.until(is_gone, "the folder stays")


async def test_every_event_of_a_job_tells_its_request_and_its_cause(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.worker()

    job = await floor.until_status(await floor.submit(), SUCCEEDED)

    history = await floor.history(job)
    assert {event.fact.correlation_id for event in history} == {"request-1"}
    assert [event.fact.causation_id for event in history[1:]] == [f"{job.id}/1", f"{job.id}/2"]


async def test_each_job_of_a_burst_is_run_once_by_one_of_two_workers(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.worker()
    await floor.worker()

    jobs = await asyncio.gather(*(floor.submit() for _ in range(200)))

    for job in jobs:
        await floor.until_status(job, SUCCEEDED)
    (row,) = await floor.rows(
        "SELECT count(*) AS events, count(DISTINCT originator_id) AS jobs"
        " FROM event_store.stored_events WHERE topic LIKE '%attempt_started'"
    )
    assert (row["events"], row["jobs"]) == (200, 200)


async def test_an_offer_made_twice_is_claimed_once(floor: Floor, gate: type[Gate]) -> None:
    await floor.worker()
    await floor.worker()
    job = await floor.submit("gate")

    for _ in range(6):
        await offer(floor, f"{job.id}/1".encode())

    await floor.until_topic(job, "attempt_started")
    await until_ready_is_empty(floor)
    gate.opened.set()
    await floor.until_status(job, SUCCEEDED)
    assert (await floor.topics(job)).count("attempt_started") == 1
    assert gate.runs == 1


async def test_offers_that_mean_nothing_are_cleared_away(floor: Floor) -> None:
    await floor.worker()

    for body in (b"", b"nonsense", b"\xff\xfe/7", f"{uuid7()}/1".encode(), b"x" * 100_000):
        await offer(floor, body)

    await until_ready_is_empty(floor)


async def test_a_cancelled_job_is_not_run(floor: Floor, gate: type[Gate]) -> None:
    job = await floor.submit("gate")
    await floor.cancel(job)
    await floor.worker()

    await offer(floor, f"{job.id}/1".encode())

    await until_ready_is_empty(floor)
    assert gate.runs == 0


async def test_a_running_job_is_stopped_when_it_is_called_off(
    floor: Floor, gate: type[Gate]
) -> None:
    await floor.dispatcher()
    await floor.worker(beat_seconds=50.0, lease_seconds=200.0)
    job = await floor.submit("gate")
    await gate.reached.wait()

    await floor.cancel(job)

    await floor.until(lambda: nothing_runs(floor), "it goes on")
    assert await floor.topics(job) == ["submitted", "attempt_started", "cancelled"]


async def test_a_cancellation_that_nobody_heard_is_noticed_by_the_beat(
    floor: Floor, gate: type[Gate]
) -> None:
    await floor.dispatcher()
    await floor.worker()
    job = await floor.submit("gate")
    await gate.reached.wait()

    await floor.cancel(job, ring=False)

    await floor.until(lambda: nothing_runs(floor), "it goes on")
    assert await floor.topics(job) == ["submitted", "attempt_started", "cancelled"]


async def test_the_process_of_a_cancelled_job_is_killed(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.worker()
    told: list[bytes] = []
    await floor.broker.subscribe("progress.acme.*", lambda message: told.append(message.data))
    job = await floor.submit("sleeper")
    await floor.until(lambda: answer(bool(told)), "the tool says nothing")

    await floor.cancel(job)

    await floor.until(lambda: answer(folders_in(floor.work_folder) == []), "it goes on")
    assert await floor.topics(job) == ["submitted", "attempt_started", "cancelled"]


async def test_the_isolation_in_effect_is_shown_and_recorded(floor: Floor) -> None:
    await floor.dispatcher()
    worker = await floor.worker()
    assert worker.running is not None
    shown = await worker.running.checks["isolation"].probe()
    walled, inline = await floor.submit("sleeper"), await floor.submit()

    await floor.until_status(walled, JobStatus.RUNNING)
    await floor.until_status(inline, SUCCEEDED)

    assert shown is not None
    started = (await floor.history(walled))[1].fact
    assert isinstance(started, AttemptStarted)
    assert shown.startswith(started.isolation)
    assert started.isolation >= "L1"
    started = (await floor.history(inline))[1].fact
    assert isinstance(started, AttemptStarted)
    assert started.isolation == "L0"


async def test_a_late_outcome_is_refused_and_recorded(floor: Floor, gate: type[Gate]) -> None:
    await floor.dispatcher()
    await floor.worker(beat_seconds=50.0, lease_seconds=200.0)
    job = await floor.submit("gate", makes_output=True)
    await gate.reached.wait()
    await floor.change(job, lambda job: job.expire_attempt(1, origin()))
    await floor.until_topic(job, "attempt_started", times=2)

    gate.opened.set()

    await floor.until_topic(job, "outcome_refused")
    job = await floor.until_status(job, SUCCEEDED)
    topics = await floor.topics(job)
    assert topics.count("attempt_succeeded") == 1
    assert len(blobs_of(floor)) == len(job.outputs) == 1


async def test_a_deadline_ends_a_tool_that_hangs(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.worker()

    job = await floor.submit("sleeper", job_timeout_seconds=0.3, job_attempts_max=1)

    job = await floor.until_status(job, FAILED)
    assert job.error_code == "TOOL_TIMEOUT"
    assert folders_in(floor.work_folder) == []


async def test_a_worker_that_leaves_hands_back_what_it_cannot_finish(
    floor: Floor, gate: type[Gate]
) -> None:
    await floor.dispatcher()
    leaving = await floor.worker(drain_seconds=0.2)
    job = await floor.submit("gate")
    await gate.reached.wait()

    await leaving.drain()

    job = await floor.load(job)
    assert (job.status, job.attempt, job.lease) == (QUEUED, 0, 1)
    gate.opened.set()
    await floor.worker()
    job = await floor.until_status(job, SUCCEEDED)
    assert (job.attempt, job.lease) == (1, 2)


async def test_a_worker_is_seen_with_what_it_does_until_it_has_left(
    floor: Floor, gate: type[Gate]
) -> None:
    await floor.dispatcher()
    worker = await floor.worker()

    async def is_seen(**expected: Any) -> bool:
        rows = [dict(row) for row in await floor.rows("SELECT * FROM work.workers")]
        return [{name: row[name] for name in expected} for row in rows] == [expected]

    await floor.until(lambda: is_seen(is_draining=False, inline_busy=0), "it is not seen")
    await floor.submit("gate")
    await gate.reached.wait()
    draining = asyncio.create_task(worker.drain())
    await floor.until(lambda: is_seen(is_draining=True, inline_busy=1), "its leaving is not seen")
    gate.opened.set()
    await draining

    assert await floor.rows("SELECT * FROM work.workers") == []


async def test_a_worker_that_leaves_lets_its_jobs_finish(floor: Floor, gate: type[Gate]) -> None:
    await floor.dispatcher()
    leaving = await floor.worker()
    job = await floor.submit("gate")
    await gate.reached.wait()

    draining = asyncio.create_task(leaving.drain())
    gate.opened.set()
    await draining

    assert (await floor.load(job)).status is SUCCEEDED


async def test_a_worker_that_leaves_takes_nothing_more(floor: Floor, gate: type[Gate]) -> None:
    await floor.dispatcher()
    leaving = await floor.worker()
    first = await floor.submit("gate")
    await gate.reached.wait()
    draining = asyncio.create_task(leaving.drain())
    second = await floor.submit("gate")
    await floor.until(lambda: has_offers(floor), "it was not offered")

    gate.opened.set()
    await draining

    assert (await floor.load(first)).status is SUCCEEDED
    assert (await floor.load(second)).status is QUEUED


async def test_more_jobs_than_sandboxes_wait_for_one(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.worker(worker_slots=1)
    await floor.worker(worker_slots=1)
    jobs = [await floor.submit("sleeper") for _ in range(5)]

    async def two_run() -> bool:
        return [(await floor.load(job)).status for job in jobs].count(JobStatus.RUNNING) == 2

    await floor.until(two_run, "not both sandboxes are used")
    await floor.cancel(jobs[0])
    await floor.cancel(jobs[1])
    await floor.until(two_run, "the sandboxes are not used again")

    assert (await floor.topics(jobs[4])) == ["submitted"], "first in, first out"


async def test_transient_failures_are_retried(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.clock()
    await floor.worker()

    job = await floor.submit("copier", b"x", outcome="transient", job_attempts_max=2)

    job = await floor.until_status(job, FAILED)
    assert (await floor.topics(job)) == [
        "submitted",
        "attempt_started",
        "attempt_failed",
        "due",
        "attempt_started",
        "attempt_failed",
    ]
    assert await floor.message(job) == "Something is down."


async def test_what_no_worker_has_fails_in_the_end_or_runs_as_another_version(
    floor: Floor,
) -> None:
    await floor.dispatcher()
    await floor.worker()

    missing = await floor.submit("unheard-of", job_attempts_max=1)
    older = await floor.submit("copier", b"x", job_tool_version="0.9")

    missing = await floor.until_status(missing, FAILED)
    assert missing.error_code == "TOOL_UNAVAILABLE"
    older = await floor.until_status(older, SUCCEEDED)
    assert (older.tool_version, older.version_run, older.attempt) == ("0.9", "1", 1)
    assert await floor.topics(older) == ["submitted", "attempt_started", "attempt_succeeded"]


async def test_tools_are_offered_once_however_many_workers_start(floor: Floor) -> None:
    await asyncio.gather(*(floor.worker() for _ in range(4)))
    await floor.worker()

    rows = await floor.rows(
        "SELECT topic, count(*) AS events FROM event_store.stored_events"
        " WHERE tenant = 'platform' GROUP BY topic"
    )

    assert {row["topic"].rpartition(".")[2]: row["events"] for row in rows} == {
        "introduced": 4,
        "offered": 4,
    }


async def test_a_lease_is_written_while_a_job_runs_and_removed_after(
    floor: Floor, gate: type[Gate]
) -> None:
    await floor.dispatcher()
    await floor.worker()
    job = await floor.submit("gate")
    await gate.reached.wait()

    async def leases() -> int:
        return len(await floor.rows("SELECT FROM work.leases"))

    async def held() -> bool:
        return await leases() == 1

    async def let_go() -> bool:
        return await leases() == 0

    await floor.until(held, "there is no lease")
    gate.opened.set()
    await floor.until_status(job, SUCCEEDED)
    await floor.until(let_go, "the lease stays")


async def offer(floor: Floor, body: bytes) -> None:
    await floor.broker.jetstream.publish(ready_subject(DEFAULT_QUEUE), body, stream=READY_STREAM)


async def until_ready_is_empty(floor: Floor) -> None:
    async def is_empty() -> bool:
        return await floor.offers() == 0

    await floor.until(is_empty, "offers stay on READY")


async def has_offers(floor: Floor) -> bool:
    return await floor.offers() > 0


async def nothing_runs(floor: Floor) -> bool:
    return Gate.runs == Gate.ends and folders_in(floor.work_folder) == []


async def answer(value: bool) -> bool:
    return value


def blobs_of(floor: Floor) -> list[Path]:
    return [path for path in (floor.folder / "blobs" / "acme").glob("*/*") if path.is_file()]
