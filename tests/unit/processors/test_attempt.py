"""One attempt from its claim to its outcome, over a log and blobs in memory."""

import asyncio
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from events.contracts.values import FileRef, JobStatus
from events.domain.job import Job, JobRequest
from events.store.memory import MemoryLog
from events.store.repository import Repository
from events.store.sealing import Seal, Sealer
from infrastructure.blobs.base import new_blob_key
from infrastructure.blobs.memory import MemoryBlobStore
from infrastructure.clock import SystemClock
from infrastructure.ids import uuid7
from infrastructure.settings import SealingSettings
from processors.attempt import Attempt, Ending, Equipment
from processors.attempt_logs import AttemptLog, AttemptLogs
from processors.claims import Claim, ToolMissing
from processors.files import Files
from processors.keys import Keys
from processors.lease import Leases
from processors.reports import Reports
from processors.sandbox.inline import InlineRunner
from processors.slots import Place
from processors.tools.base import ToolProcessingError
from processors.tools.registry import AnyTool
from tests.factories.tools import Gate, folders_in, registry
from tests.fixtures.events import origin

CONTENT = b"some text"
SEALING = SealingSettings(sealing_key="only-for-tests-0123456789abcdef0123")


class NoBeats:
    """Heartbeats that nobody hears."""

    cut = asyncio.Event()

    async def beat(self, worker: object, held: object, ended: object) -> list[UUID]:
        return []


class MemoryLogStore:
    """Logs that are kept as long as the test."""

    def __init__(self) -> None:
        self.kept: list[AttemptLog] = []
        self.is_away = False

    async def keep(self, kept: AttemptLog) -> None:
        if self.is_away:
            raise ConnectionRefusedError
        self.kept.append(kept)


class Scene:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = MemoryLog()
        self.repository = Repository(self.log, self.log)
        self.sealer = Sealer(SEALING)
        self.blobs = MemoryBlobStore()
        self.registry = registry()
        self.rings: list[tuple[str, bytes]] = []
        self.seals: dict[UUID, Seal] = {}
        self.leases = Leases("w1", NoBeats(), self.repository, 60.0)
        self.reports = Reports(self.repository, self.log, "w1", SystemClock())
        self.logs = MemoryLogStore()
        self.equipment = Equipment(
            keys=Keys(self.log, self.sealer),
            files=Files(self.blobs),
            leases=self.leases,
            reports=self.reports,
            ring=lambda subject, body: self.rings.append((subject, body)),
            logs=AttemptLogs(self.logs),
            folder=folder,
        )

    async def submit(
        self, tool: str = "copier", *, inputs: int = 1, with_key: bool = True, **options: object
    ) -> Job:
        job_id = uuid7()
        seal, key = self.sealer.new_key(job_id, "acme", "user:1")
        self.seals[job_id] = seal
        files = [await self.input(seal, f"notes {number}.txt") for number in range(inputs)]
        request = JobRequest(
            owner="user:1",
            tool=tool,
            tool_version="1",
            options=seal.seal("options", json.dumps(options)),
            inputs=files,
            attempts_max=2,
            timeout_seconds=20.0,
        )
        job = Job.submit(job_id, request, origin(request="request-9"))
        await self.repository.save(job, keys=[key] if with_key else [])
        return job

    async def input(self, seal: Seal, name: str) -> FileRef:
        async with await self.blobs.write(new_blob_key("acme")) as writer:
            await writer.write(CONTENT)
            written = await writer.commit()
        return FileRef(
            seal.seal("name", name), "text/plain", len(CONTENT), written.sha256, written.key
        )

    async def claimed(self, job: Job, tool: AnyTool | ToolProcessingError | None = None) -> Attempt:
        assert await self.reports.claim(job, "L0")
        claim = Claim(
            job, tool or self.registry.get(job.tool), Place.INLINE, InlineRunner(self.registry)
        )
        return Attempt(claim, self.equipment)

    async def run(self, job: Job) -> Job:
        await (await self.claimed(job)).run()
        return await self.loaded(job)

    async def loaded(self, job: Job) -> Job:
        return await self.repository.load(Job, job.id)

    async def topics(self, job: Job) -> list[str]:
        return [row.topic.rpartition(".")[2] for row in await self.log.read_stream(job.id)]


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    Gate.close()
    return Scene(tmp_path)


def message(scene: Scene, job: Job) -> str:
    assert job.error_message is not None
    return scene.seals[job.id].open("message", job.error_message)


async def test_a_job_succeeds_with_durable_outputs_under_sealed_names(scene: Scene) -> None:
    job = await scene.run(await scene.submit(inputs=2, copies=2))

    assert job.status is JobStatus.SUCCEEDED
    names = [scene.seals[job.id].open("name", file.name) for file in job.outputs]
    assert names == ["0-notes 0.txt", "1-notes 0.txt", "0-notes 1.txt", "1-notes 1.txt"]
    for file in job.outputs:
        stored = b"".join([block async for block in scene.blobs.open(file.blob_key)])  # type: ignore[arg-type]
        assert stored == CONTENT
        assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()
        assert file.blob_key.startswith("acme/")


async def test_nothing_of_a_run_stays_behind(scene: Scene) -> None:
    await scene.run(await scene.submit())
    await scene.run(await scene.submit(outcome="permanent"))

    assert folders_in(scene.folder) == []


async def test_a_bad_file_fails_for_good(scene: Scene) -> None:
    job = await scene.run(await scene.submit(outcome="permanent"))

    assert (job.status, job.error_code) == (JobStatus.FAILED, "CORRUPT_FILE")
    assert message(scene, job) == "The file is damaged or cut short."


async def test_a_transient_failure_is_retried_until_its_attempts_are_used_up(
    scene: Scene,
) -> None:
    job = await scene.run(await scene.submit(outcome="transient"))
    assert (job.status, job.due_at is not None) == (JobStatus.RETRYING, True)

    due, _ = await scene.repository.change(Job, job.id, lambda job: job.become_due(origin()))
    job = await scene.run(due)

    assert (job.status, job.error_code) == (JobStatus.FAILED, "DOWN")


async def test_a_bug_in_a_tool_is_told_with_its_stack_and_without_its_words(
    scene: Scene,
) -> None:
    with capture_logs() as logs:
        job = await scene.run(await scene.submit(outcome="bug"))

    (failed,) = [entry for entry in logs if entry["event"] == "tool_processing_failed"]
    assert job.error_code == "TOOL_CRASHED"
    assert "ZeroDivisionError" in failed["stack"]
    assert "a mistake" not in message(scene, job)


async def test_a_bad_option_fails_for_good_with_its_name(scene: Scene) -> None:
    job = await scene.run(await scene.submit(copies="many"))

    assert (job.status, job.error_code) == (JobStatus.FAILED, "INVALID_OPTIONS")
    assert message(scene, job).startswith("copies:")


async def test_an_input_that_is_gone_fails_for_good(scene: Scene) -> None:
    job = await scene.submit()
    await scene.blobs.delete(job.inputs[0].blob_key)  # type: ignore[arg-type]

    job = await scene.run(job)

    assert (job.status, job.error_code) == (JobStatus.FAILED, "INPUT_GONE")


async def test_a_job_whose_key_was_erased_fails_without_a_word(scene: Scene) -> None:
    job = await scene.run(await scene.submit(with_key=False))

    assert (job.status, job.error_code, job.error_message) == (
        JobStatus.FAILED,
        "JOB_ERASED",
        "",
    )


async def test_a_tool_that_is_missing_here_is_a_transient_failure(scene: Scene) -> None:
    job = await scene.submit()

    await (await scene.claimed(job, ToolMissing())).run()

    job = await scene.loaded(job)
    assert (job.status, job.error_code) == (JobStatus.RETRYING, "TOOL_UNAVAILABLE")


async def test_the_start_and_the_end_are_logged_without_file_names(scene: Scene) -> None:
    with capture_logs() as logs:
        job = await scene.run(await scene.submit())

    started, completed = [entry for entry in logs if entry["event"].startswith("tool_")]
    assert (started["event"], completed["event"]) == (
        "tool_processing_started",
        "tool_processing_completed",
    )
    for entry in (started, completed):
        assert entry["tool_id"] == "copier"
        assert entry["request_id"] == "request-9"
        assert entry["job_id"] == str(job.id)
    assert completed["duration_ms"] >= 0
    assert "notes" not in json.dumps(logs, default=str)


async def test_progress_is_told_to_whoever_watches(scene: Scene) -> None:
    job = await scene.run(await scene.submit())

    ((subject, body),) = scene.rings
    assert subject == f"progress.acme.{job.id}"
    assert json.loads(body) == {"percent": 50.0, "message": "halfway", "attempt": 1}


async def test_what_a_tool_logs_is_kept_sealed_whatever_becomes_of_it(scene: Scene) -> None:
    done = await scene.run(await scene.submit())
    failed = await scene.run(await scene.submit(outcome="permanent"))

    logs = {kept.job_id: kept for kept in scene.logs.kept}
    for job in (done, failed):
        assert (logs[job.id].lease, logs[job.id].is_cut) == (1, False)
        text = scene.seals[job.id].open("log", logs[job.id].text)
        assert text == "copies are to be made: 1\n"


async def test_what_a_tool_notes_stays_with_the_job_sealed(scene: Scene) -> None:
    job = await scene.run(await scene.submit(note="One page was blank."))
    quiet = await scene.run(await scene.submit())

    assert job.notes is not None
    assert "blank" not in job.notes
    assert json.loads(scene.seals[job.id].open("notes", job.notes)) == ["One page was blank."]
    assert quiet.notes is None


async def test_a_log_that_cannot_be_kept_does_not_fail_the_attempt(scene: Scene) -> None:
    scene.logs.is_away = True

    job = await scene.run(await scene.submit())

    assert job.status is JobStatus.SUCCEEDED
    assert scene.logs.kept == []


async def test_what_was_logged_before_the_attempt_was_ended_is_kept(scene: Scene) -> None:
    job, attempt, running = await at_the_gate(scene)

    attempt.end(Ending.HANDED_BACK)
    await running

    (kept,) = scene.logs.kept
    assert scene.seals[job.id].open("log", kept.text) == "at the gate\n"


async def at_the_gate(scene: Scene, **options: object) -> tuple[Job, Attempt, asyncio.Task[None]]:
    job = await scene.submit("gate", inputs=0, **options)
    attempt = await scene.claimed(job)
    running = asyncio.create_task(attempt.run())
    await Gate.reached.wait()
    return job, attempt, running


async def test_a_cancelled_job_is_stopped_and_nothing_is_appended(scene: Scene) -> None:
    job, _, running = await at_the_gate(scene)
    await scene.repository.change(Job, job.id, lambda job: job.cancel(origin()))

    await scene.leases.reconsider(job.id)
    await running

    assert await scene.topics(job) == ["submitted", "attempt_started", "cancelled"]
    assert folders_in(scene.folder) == []
    assert job.id not in scene.leases


async def test_a_superseded_attempt_is_stopped_and_that_is_on_record(scene: Scene) -> None:
    job, _, running = await at_the_gate(scene)
    await scene.repository.change(Job, job.id, lambda job: job.expire_attempt(1, origin()))

    await scene.leases.reconsider(job.id)
    await running

    assert (await scene.topics(job))[-1] == "outcome_refused"
    assert folders_in(scene.folder) == []


async def test_a_late_result_is_refused_recorded_and_its_blobs_are_deleted(scene: Scene) -> None:
    job, _, running = await at_the_gate(scene, makes_output=True)
    await scene.repository.change(Job, job.id, lambda job: job.expire_attempt(1, origin()))
    Gate.opened.set()

    with capture_logs() as logs:
        await running

    assert (await scene.topics(job))[-1] == "outcome_refused"
    assert (await scene.loaded(job)).status is JobStatus.QUEUED
    assert "late_outcome_refused" in [entry["event"] for entry in logs]
    assert scene.blobs._blobs == {}


class EndedAfterStoring(Files):
    """Something ends the attempt once its outputs are stored, while its folder is removed."""

    attempt: Attempt
    ending: Ending

    async def store(self, *what: Any) -> list[FileRef]:
        stored = await super().store(*what)
        asyncio.get_running_loop().call_soon(self.attempt.end, self.ending)
        return stored


@pytest.mark.parametrize("ending", [Ending.HANDED_BACK, Ending.SUPERSEDED])
async def test_an_attempt_that_is_ended_when_its_outputs_are_stored_reports_them(
    scene: Scene, ending: Ending
) -> None:
    files = EndedAfterStoring(scene.blobs)
    scene.equipment = replace(scene.equipment, files=files)
    job = await scene.submit(inputs=1)
    files.attempt, files.ending = await scene.claimed(job), ending
    if ending is Ending.SUPERSEDED:
        await scene.repository.change(Job, job.id, lambda job: job.expire_attempt(1, origin()))

    await files.attempt.run()

    job = await scene.loaded(job)
    named = {file.blob_key for file in [*job.inputs, *job.outputs]}
    assert set(scene.blobs._blobs) == named, "a blob was left behind, or is missing"
    assert (job.status is JobStatus.SUCCEEDED) == (ending is Ending.HANDED_BACK)


async def test_an_attempt_that_is_handed_back_does_not_count(scene: Scene) -> None:
    job, attempt, running = await at_the_gate(scene)

    attempt.end(Ending.HANDED_BACK)
    await running

    job = await scene.loaded(job)
    assert (job.status, job.attempt) == (JobStatus.QUEUED, 0)
    assert folders_in(scene.folder) == []


async def test_an_attempt_is_ended_only_once(scene: Scene) -> None:
    job, attempt, running = await at_the_gate(scene)

    attempt.end(Ending.HANDED_BACK)
    attempt.end(Ending.SUPERSEDED)
    await running
    attempt.end(Ending.CANCELLED)

    assert await scene.topics(job) == ["submitted", "attempt_started", "attempt_handed_back"]


async def test_an_event_that_changes_nothing_does_not_stop_an_attempt(scene: Scene) -> None:
    job, _, running = await at_the_gate(scene)
    await scene.reports.refuse(job.id, 9, "failed")

    await scene.leases.reconsider(job.id)
    Gate.opened.set()
    await running

    assert (await scene.topics(job))[-1] == "attempt_succeeded"


async def test_without_room_for_the_result_the_job_is_tried_again(scene: Scene) -> None:
    job = await scene.submit(copies=3)
    # Room for the input and for one of the copies.
    scene.blobs._capacity_bytes = 2 * len(CONTENT)

    job = await scene.run(job)

    assert (job.status, job.error_code) == (JobStatus.RETRYING, "INSUFFICIENT_STORAGE")
    assert set(scene.blobs._blobs) == {file.blob_key for file in job.inputs}


async def test_an_input_that_is_not_what_was_received_is_not_used(scene: Scene) -> None:
    job = await scene.submit()
    key = job.inputs[0].blob_key
    scene.blobs._blobs[key] = (b"other txt", scene.blobs._blobs[key][1])  # type: ignore[index]

    job = await scene.run(job)

    assert (job.status, job.error_code) == (JobStatus.RETRYING, "INPUT_DAMAGED")
