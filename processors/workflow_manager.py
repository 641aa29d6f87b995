"""Follows the log and moves workflows on: it notes the ends of jobs and starts what may start.

A step's start and its jobs are one append, the jobs under ids that follow from workflow, step and
round: whoever comes second, after a crash or beside another manager, meets a conflict and finds the
step started. So the log may be read twice, in any part, and nothing here has to be remembered.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

import structlog

from events.contracts.values import Origin
from events.contracts.workflow import WorkflowStatus
from events.domain.errors import DomainError, NotFound
from events.domain.job import Job
from events.domain.workflow import Workflow
from events.domain.workflow_plan import StepPlan
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.repository import Repository, StreamConflict
from events.store.sealing import WrappedKey
from infrastructure import metrics
from infrastructure.blobs.base import BlobStore
from infrastructure.clock import Clock, SystemClock
from infrastructure.ids import uuid7
from infrastructure.periodic import Counts
from processors.dispatcher import Lead
from processors.wake import Wake
from processors.workflow_checkpoint import WorkflowCheckpoint
from processors.workflow_jobs import JobMaker, StepJobs, StepRefused
from processors.workflow_news import News, WorkflowNews
from processors.workflow_tail import WorkflowTail

EVENTS_MAX: Final = 2_000
"""Read at a time."""
JOBS_STARTED_MAX: Final = 200
"""After so many jobs an append is made; with a whole fan-out on top it is still one append."""
WORKFLOWS_REMEMBERED_MAX: Final = 100
TRIES_MAX: Final = 10
CANCELS_AT_ONCE_MAX: Final = 50
LOOK_SECONDS: Final = 0.02
"""Between two looks on a busy platform."""
MARK_SECONDS: Final = 1.0
STANDBY_SECONDS: Final = 1.0

ACTOR: Final = "workflows"

log = structlog.get_logger(__name__)


class WorkflowManager:
    """See above; a service as `ServiceLoop` runs it."""

    name = "workflows"

    def __init__(
        self,
        lead: Lead,
        tail: WorkflowTail,
        checkpoint: WorkflowCheckpoint,
        repository: Repository,
        blobs: BlobStore,
        maker: JobMaker,
        *,
        job_cancelled: Callable[[UUID], None] = lambda job_id: None,
        wake: asyncio.Event | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`job_cancelled` is told of each job that is called off, to tell its worker at once;
        `wake` is what its loop waits for."""
        self._lead = lead
        self._tail = tail
        self._checkpoint = checkpoint
        self._repository = repository
        self._blobs = blobs
        self._maker = maker
        self._job_cancelled = job_cancelled
        self._wake = Wake(wake or asyncio.Event())
        self._clock = clock or SystemClock()
        self._news = WorkflowNews(tail)
        self._known: OrderedDict[UUID, Workflow] = OrderedDict()
        self._position: int | None = None
        self._marked = 0
        self._mark_at = 0.0
        self._try_at = 0.0
        self._look_at = 0.0

    async def start(self) -> None:
        """Nothing is opened before the first run."""

    async def run_once(self) -> Counts:
        """Read what is new, and move on the workflows that it concerns."""
        if not await self._leads():
            return Counts()
        try:
            return await self._read()
        except BaseException:
            # Read again from where everything was surely done.
            self._put_down()
            raise

    async def stop(self) -> None:
        """Note how far we are and let somebody else lead."""
        self._wake.cancel()
        try:
            await self._mark(now=True)
        finally:
            self._put_down()
            await self._lead.release()
            await self._tail.close()
            await self._checkpoint.close()

    def hear(self) -> None:
        """Something was appended: look as soon as the next look may be."""
        self._wake.within(max(self._look_at, self._try_at) - self._clock.monotonic())

    async def _leads(self) -> bool:
        """Whether we lead; a standby asks only now and then, however often it is woken."""
        if self._clock.monotonic() < self._try_at:
            return False
        leads = await self._lead.hold()
        if not leads:
            self._try_at = self._clock.monotonic() + STANDBY_SECONDS
            self._put_down()
        return leads

    def _put_down(self) -> None:
        self._position = None
        self._known.clear()

    async def _read(self) -> Counts:
        if self._position is None:
            self._position = self._marked = await self._checkpoint.read()
        self._look_at = self._clock.monotonic() + LOOK_SECONDS
        end = await self._tail.read(self._position, EVENTS_MAX)
        news = await self._news.of(end.rows)
        started = 0
        for workflow_id, told in news.items():
            started += await self._move_on(workflow_id, told)
        is_full = end.position - self._position == EVENTS_MAX
        self._position = end.position
        await self._mark()
        return Counts(more=is_full, workflows=len(news), jobs=started)

    async def _mark(self, *, now: bool = False) -> None:
        """Note how far we are, not more often than need be."""
        if self._position is None or self._position == self._marked:
            return
        if now or self._clock.monotonic() >= self._mark_at:
            await self._checkpoint.move(self._position)
            self._marked = self._position
            self._mark_at = self._clock.monotonic() + MARK_SECONDS

    # -- one workflow ---------------------------------------------------------------------------

    async def _move_on(self, workflow_id: UUID, news: News) -> int:
        """Take in the news and start what may start; returns the number of jobs started."""
        for _ in range(TRIES_MAX):
            try:
                workflow = await self._load(workflow_id, news.version)
                await self._note(workflow, list(news.jobs))
                started = await self._start(workflow)
                await self._call_off(workflow)
                return started
            except NotFound:
                # A job that claims a workflow that is not there.
                return 0
            except StreamConflict:
                self._known.pop(workflow_id, None)
            except BaseException:
                self._known.pop(workflow_id, None)
                raise
        raise StreamConflict(StreamConflict.__doc__)

    async def _load(self, workflow_id: UUID, version: int) -> Workflow:
        known = self._known.get(workflow_id)
        if known is None or known.version < version:
            known = await self._repository.load(Workflow, workflow_id)
            self._known[workflow_id] = known
        self._known.move_to_end(workflow_id)
        if len(self._known) > WORKFLOWS_REMEMBERED_MAX:
            self._known.popitem(last=False)
        return known

    async def _note(self, workflow: Workflow, job_ids: Sequence[UUID]) -> None:
        """Record which of these jobs have ended, as far as the workflow waits for them."""
        if not job_ids or workflow.status.is_final:
            return
        jobs = await asyncio.gather(*(self._repository.load(Job, job_id) for job_id in job_ids))
        ended = {job.id: job.status.value for job in jobs if job.status.is_final}
        workflow.note_ended(ended, self._origin(workflow))
        await self._repository.save(workflow)
        self._tell_end(workflow)

    async def _start(self, workflow: Workflow) -> int:
        started = 0
        while ready := workflow.ready():
            started += await self._start_some(workflow, ready)
            self._tell_end(workflow)
        return started

    async def _start_some(self, workflow: Workflow, ready: Sequence[StepPlan]) -> int:
        """Start the first of these steps, in one append with their jobs."""
        origin = self._origin(workflow)
        jobs: list[Job] = []
        keys: list[WrappedKey] = []
        async with ProvisionalBlobs(self._blobs) as blobs:
            for plan in ready:
                made = await self._made(workflow, plan, blobs, origin)
                if made is not None:
                    workflow.start_step(plan.id, made.total, origin)
                    jobs += made.jobs
                    keys += made.keys
                if len(jobs) >= JOBS_STARTED_MAX or not (made and made.jobs):
                    # What failed or ended at once may have changed what is ready.
                    break
            with blobs.recording():
                await self._repository.save(workflow, *jobs, keys=keys)
        metrics.WORKFLOW_JOBS_STARTED.inc(len(jobs))
        return len(jobs)

    async def _made(
        self, workflow: Workflow, plan: StepPlan, blobs: ProvisionalBlobs, origin: Origin
    ) -> StepJobs | None:
        """The jobs of a step; None if it cannot be started, and has failed."""
        try:
            async with ProvisionalBlobs(self._blobs) as own:
                made = await self._maker.jobs_of(workflow, plan, own, origin)
                blobs.adopt(own)
            return made
        except StepRefused as refused:
            log.info("step_refused", workflow_id=str(workflow.id), code=refused.code)
            workflow.fail_step(plan.id, refused.code, origin)
            return None

    async def _call_off(self, workflow: Workflow) -> None:
        """Cancel the jobs of a workflow that was cancelled; those that have ended stay so."""
        if workflow.status is not WorkflowStatus.CANCELLED:
            return
        abandoned = sorted(workflow.abandoned)
        for first in range(0, len(abandoned), CANCELS_AT_ONCE_MAX):
            some = abandoned[first : first + CANCELS_AT_ONCE_MAX]
            await asyncio.gather(*(self._cancel(workflow, job_id) for job_id in some))

    async def _cancel(self, workflow: Workflow, job_id: UUID) -> None:
        with suppress(DomainError):
            await self._repository.change(
                Job, job_id, lambda job: job.cancel(self._origin(workflow))
            )
            self._job_cancelled(job_id)

    def _tell_end(self, workflow: Workflow) -> None:
        if workflow.status.is_final:
            metrics.WORKFLOWS_ENDED.labels(workflow.status.value).inc()
            counts: Mapping[str, int] = workflow.counts()
            log.info(
                "workflow_ended",
                workflow_id=str(workflow.id),
                status=workflow.status.value,
                **counts,
            )

    def _origin(self, workflow: Workflow) -> Origin:
        """What every event of the manager says of itself."""
        return Origin(
            tenant=workflow.tenant,
            actor=ACTOR,
            command_id=str(uuid7()),
            correlation_id=workflow.correlation_id,
            causation_id=workflow.cause(),
            at=self._clock.now(),
        )
