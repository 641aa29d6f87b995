"""Blobs of every kind: those that somebody needs, and those that were left behind."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from events.contracts.values import FileRef, JobStatus, Origin, SealedText
from events.domain.job import Failure, Job
from events.domain.schedule import Plan, Schedule, Template
from events.domain.upload import Upload
from events.domain.workflow_plan import StepInput, StepPlan
from events.store.repository import Repository
from infrastructure.blobs.base import BlobKey, BlobStore, new_blob_key
from infrastructure.ids import uuid7
from tests.factories.workflows import OPTIONS, run, submitted_workflow
from tests.fixtures.events import NOON, origin, submitted_job

LATER = origin(at=NOON + timedelta(days=1))
BROKEN = SealedText("s1.broken")
EACH_HOUR = Plan("0 * * * *")


class BlobLives:
    """Fills a store and a log, and keeps book of which blobs are to stay, by what they are."""

    def __init__(self, repository: Repository, blobs: BlobStore) -> None:
        self.repository = repository
        self.blobs = blobs
        self.needed: dict[str, BlobKey] = {}
        self.left: dict[str, BlobKey] = {}

    async def file(self) -> FileRef:
        """A blob that was just written, and that nothing names."""
        key = new_blob_key("acme")
        async with await self.blobs.write(key) as writer:
            await writer.write(b"bytes")
            written = await writer.commit()
        return FileRef(SealedText("s1.name"), "text/plain", 5, written.sha256, written.key)

    async def job(self, **fields: Any) -> Job:
        """A job with an input, not yet saved."""
        return submitted_job(inputs=[await self.file()], **fields)

    async def fill(self) -> None:
        """Let blobs come to everything that may happen to them."""
        await self._waiting()
        await self._ended()
        await self._succeeded()
        await self._uploads()
        await self._workflows()
        await self._schedules()
        # The connection broke before the append, and nobody was left to delete it.
        self.left["never named"] = BlobKey((await self.file()).blob_key)

    async def there(self) -> set[BlobKey]:
        """What the store holds."""
        return {entry.key for entry in await self.blobs.page(None, 1_000)}

    async def _keep(self, kind: str, job: Job) -> None:
        assert job.inputs
        self.needed[kind] = BlobKey(job.inputs[0].blob_key)
        await self.repository.save(job)

    async def _waiting(self) -> None:
        await self._keep("of a scheduled job", await self.job(run_at=LATER.at))
        await self._keep("of a queued job", await self.job())
        running = await self.job()
        running.start_attempt("worker:1", "L1", origin())
        await self._keep("of a running job", running)
        retrying = await self.job()
        self._fail(retrying, permanent=False)
        assert retrying.status is JobStatus.RETRYING
        await self._keep("of a job that will be tried again", retrying)

    async def _ended(self) -> None:
        failed = await self.job()
        self._fail(failed, permanent=True)
        await self._keep("of a job that failed", failed)
        cancelled = await self.job()
        cancelled.cancel(origin())
        await self._keep("of a job that was called off", cancelled)
        fenced = await self.job()
        lease = fenced.start_attempt("worker:1", "L1", origin())
        fenced.expire_attempt(lease, origin())
        fenced.refuse_outcome(lease, "succeeded", "worker:1", origin())
        await self._keep("of a job whose worker was lost", fenced)
        self.left["made by the worker that was lost"] = BlobKey((await self.file()).blob_key)

    async def _succeeded(self) -> None:
        kept = await self._made(retention_seconds=10**6)
        self.left["of a job that succeeded"] = BlobKey(kept.inputs[0].blob_key)
        self.needed["made by a job"] = BlobKey(kept.outputs[0].blob_key)
        await self.repository.save(kept)
        expired = await self._made(retention_seconds=1)
        expired.expire_result(LATER)
        self.left["of a job whose result expired"] = BlobKey(expired.inputs[0].blob_key)
        self.left["made, and expired"] = BlobKey(expired.outputs[0].blob_key)
        await self.repository.save(expired)
        reused = await self.job()
        reused.reuse(kept.id, [await self.file()], origin())
        self.needed["a copy of a result"] = BlobKey(reused.outputs[0].blob_key)
        self.left["of a job that needed no run"] = BlobKey(reused.inputs[0].blob_key)
        await self.repository.save(reused)

    async def _made(self, **fields: Any) -> Job:
        job = await self.job(**fields)
        lease = job.start_attempt("worker:1", "L1", origin())
        job.succeed(lease, [await self.file()], 1, {}, origin())
        return job

    async def _uploads(self) -> None:
        expires_at = NOON + timedelta(hours=1)
        for book, kind in ((self.needed, "uploaded"), (self.left, "uploaded, and expired")):
            file = await self.file()
            upload = Upload.receive(uuid7(), "user:1", file, expires_at, origin())
            if book is self.left:
                upload.expire(LATER)
            book[kind] = BlobKey(file.blob_key)
            await self.repository.save(upload)

    async def _workflows(self) -> None:
        for how in (None, JobStatus.FAILED, JobStatus.SUCCEEDED):
            file = await self.file()
            workflow = submitted_workflow(StepPlan("a", "no-op", OPTIONS, [StepInput(file)]))
            if how is not None:
                run(workflow, "a", how)
            book = self.left if how is JobStatus.SUCCEEDED else self.needed
            book[f"of a workflow: {how or 'running'}"] = BlobKey(file.blob_key)
            await self.repository.save(workflow)

    async def _schedules(self) -> None:
        """A schedule keeps its files, and its jobs name the same ones."""
        self.needed["of a schedule"] = await self._schedule()
        self.left["of a schedule that is gone"] = await self._schedule(Schedule.delete)
        shared = await self._schedule(_fire, Schedule.delete)
        self.needed["of a job whose schedule is gone"] = shared
        anew = await self.file()

        def change(schedule: Schedule, at: Origin) -> None:
            template = replace(schedule.template, inputs=(anew,))
            schedule.change(SealedText("s1.name"), EACH_HOUR, template, at)

        self.left["of a schedule that got another file"] = await self._schedule(change)
        self.needed["which a schedule got later"] = BlobKey(anew.blob_key)

    async def _schedule(self, *then: Callable[[Schedule, Origin], Any]) -> BlobKey:
        file = await self.file()
        template = Template("no-op", OPTIONS, inputs=(file,))
        schedule = Schedule.create(uuid7(), SealedText("s1.n"), EACH_HOUR, template, origin())
        jobs = [made for act in then if (made := act(schedule, origin())) is not None]
        await self.repository.save(schedule, *jobs)
        return BlobKey(file.blob_key)

    def _fail(self, job: Job, *, permanent: bool) -> None:
        lease = job.start_attempt("worker:1", "L1", origin())
        job.fail(lease, Failure("CODE", BROKEN, permanent), 1, {}, 0.5, origin())


def _fire(schedule: Schedule, at: Origin) -> Job:
    """Its job, which names the file of the schedule."""
    job = submitted_job(inputs=schedule.template.inputs, schedule=schedule.id)
    schedule.fire_now(job.id, at)
    return job
