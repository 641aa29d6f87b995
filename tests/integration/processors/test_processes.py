"""Worker processes that are killed, frozen and told to leave, with leases shorter than usual."""

import asyncio
import json
import signal
import subprocess
from pathlib import Path

from events.contracts.values import JobStatus
from events.domain.job import Job
from tests.factories.tools import folders_in
from tests.integration.processors.floor import Floor

SUCCEEDED, RUNNING = JobStatus.SUCCEEDED, JobStatus.RUNNING


async def started_on(floor: Floor, process: subprocess.Popen[bytes], **options: object) -> Job:
    """A job that this process, the only worker, has begun."""
    job = await floor.submit("no-op", **options)
    return await floor.until_status(job, RUNNING, SUCCEEDED)


async def test_a_job_of_a_killed_worker_runs_again(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.clock()
    killed = floor.worker_process()
    job = await started_on(floor, killed, seconds=2.0)

    killed.kill()
    floor.worker_process()

    job = await floor.until_status(job, SUCCEEDED)
    assert (await floor.topics(job)).count("attempt_expired") == 1
    assert (await floor.topics(job)).count("attempt_succeeded") == 1


async def test_a_frozen_worker_that_wakes_changes_nothing(floor: Floor) -> None:
    await floor.dispatcher()
    await floor.clock()
    frozen = floor.worker_process()
    job = await started_on(floor, frozen, seconds=2.0)

    frozen.send_signal(signal.SIGSTOP)
    await floor.until_topic(job, "attempt_expired")
    floor.worker_process()
    job = await floor.until_status(job, SUCCEEDED)
    frozen.send_signal(signal.SIGCONT)

    await floor.until_topic(job, "outcome_refused")
    assert await floor.topics(job) == [
        "submitted",
        "attempt_started",
        "attempt_expired",
        "attempt_started",
        "attempt_succeeded",
        "outcome_refused",
    ]
    assert (await floor.load(job)).worker == job.worker


async def test_a_process_that_is_told_to_leave_hands_its_job_back(floor: Floor) -> None:
    await floor.dispatcher()
    leaving = floor.worker_process(DRAIN_SECONDS="0.2")
    job = await started_on(floor, leaving, seconds=60.0)

    leaving.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(leaving.wait, 60)

    assert code == 0
    assert await floor.topics(job) == ["submitted", "attempt_started", "attempt_handed_back"]
    assert folders_in(floor.work_folder) == []


async def test_the_log_of_a_worker_tells_of_a_job_by_its_request(floor: Floor) -> None:
    await floor.dispatcher()
    process = floor.worker_process()
    job = await floor.until_status(await floor.submit("no-op"), SUCCEEDED)

    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 60) == 0

    lines = said(floor.folder / "worker.log")
    told = [line for line in lines if line.get("job_id") == str(job.id)]
    assert [line["event"] for line in told] == [
        "tool_processing_started",
        "tool_processing_completed",
    ]
    for line in told:
        assert (line["tool_id"], line["request_id"]) == ("no-op", "request-1")
        assert line["worker"] == (await floor.load(job)).worker
    assert told[1]["duration_ms"] >= 0


def said(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
