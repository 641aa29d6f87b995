"""Runs one claimed job from its claim to its outcome.

While the tool runs, the attempt can be ended from outside: because the job was called off, because
its lease was lost, or because the worker leaves and hands it back. Once its outputs are stored, or
it reports already, it goes through with that: the lease decides whether the report counts. Whatever
happens, the private folder is gone afterwards, and no blob stays that nothing refers to.
"""

import asyncio
import os
import random
import time
import traceback
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, assert_never
from uuid import UUID

import orjson
import structlog
from prometheus_client import Counter, Histogram

from events.contracts.sealed_fields import MESSAGE_FIELD, NOTES_FIELD, OPTIONS_FIELD, SECRETS_FIELD
from events.contracts.values import FileRef, JobStatus, Origin, SealedText
from events.domain.job import Failure, Job
from events.store.sealing import Seal, SealBroken, secrets_id
from infrastructure import metrics
from processors.attempt_logs import AttemptLogs
from processors.claims import Claim
from processors.files import Files
from processors.keys import Keys, KeysUnavailable
from processors.lease import Leases, Loss
from processors.progress import ProgressTold, Ring
from processors.reports import Reports
from processors.sandbox.observed import Observed
from processors.sandbox.run import ToolOutcome, ToolRun
from processors.scanning import OutputScan
from processors.slots import Place
from processors.tools.base import (
    DocumentedError,
    InputFile,
    ToolLimits,
    ToolProcessingError,
    ToolTimeout,
)
from processors.tools.registry import AnyTool
from processors.workspace import Workspace

KEY_PAUSE_SECONDS: Final = 0.5
STACK_CHARACTERS_MAX: Final = 8_000
NO_FOLDER: Final = Path(os.devnull)

log = structlog.get_logger(__name__)


class JobErased(DocumentedError):
    """The job was erased: what it needs cannot be read any more."""

    CODE = "JOB_ERASED"


class SecretGone(DocumentedError):
    """The job's password was destroyed when the job ended; submit the job anew."""

    CODE = "SECRET_GONE"


class InternalError(DocumentedError):
    """Something went wrong that is not the file's fault; it is tried again."""

    CODE = "INTERNAL_ERROR"
    PERMANENT = False


class Ending(Enum):
    """Why an attempt was ended from outside."""

    CANCELLED = auto()
    SUPERSEDED = auto()
    HANDED_BACK = auto()


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a worker's attempts work with."""

    keys: Keys
    files: Files
    leases: Leases
    reports: Reports
    ring: Ring
    logs: AttemptLogs
    folder: Path
    scan: OutputScan = field(default_factory=OutputScan)


@dataclass(frozen=True, slots=True)
class _Success:
    files: list[FileRef]
    notes: SealedText | None


@dataclass(frozen=True, slots=True)
class _Failed:
    error: ToolProcessingError
    seal: Seal | None


class Attempt:
    """One attempt of one job."""

    def __init__(self, claim: Claim, equipment: Equipment) -> None:
        """The job was claimed a moment ago."""
        self.job = job = claim.job
        self._lease = job.lease
        self._tool = claim.tool
        self._runner = claim.runner
        self._has_folder = claim.place is Place.SANDBOX
        self._equipment = equipment
        self._task: asyncio.Task[None] | None = None
        self._ending: Ending | None = None
        self._is_reporting = False
        self._observed = Observed()
        self._told = ProgressTold(job, equipment.ring)
        self._opened: Seal | None = None
        self._began = time.monotonic()
        self._log = log.bind(
            tool_id=job.tool,
            request_id=job.correlation_id,
            job_id=str(job.id),
            attempt=job.attempt,
        )

    async def run(self) -> None:
        """Work, and report; never raises but when it is cancelled by somebody else than `end`."""
        self._task = asyncio.current_task()
        leases = self._equipment.leases
        held = leases.hold(self.job.id, self._lease, self.job.version, self._lose)
        self._log.info("tool_processing_started")
        try:
            await self._run()
        finally:
            leases.let_go(held)

    def end(self, ending: Ending) -> None:
        """End the attempt, unless it is reporting already or was ended before."""
        if self._task is not None and not self._is_reporting and self._ending is None:
            self._ending = ending
            self._task.cancel()

    def _lose(self, loss: Loss) -> None:
        self.end(Ending.CANCELLED if loss is Loss.CANCELLED else Ending.SUPERSEDED)

    async def _run(self) -> None:
        try:
            outcome = await self._work()
        except asyncio.CancelledError:
            if self._ending is None or self._task is None:
                raise
            self._task.uncancel()
            await self._ended(self._ending)
            return
        self._is_reporting = True
        await self._keep_log()
        if isinstance(outcome, _Success):
            await self._succeeded(outcome)
        else:
            await self._failed(outcome)

    # -- working --------------------------------------------------------------------------------

    async def _work(self) -> _Success | _Failed:
        self._opened = seal = await self._seal(self.job.id)
        if seal is None:
            return _Failed(JobErased(), None)
        try:
            if isinstance(self._tool, ToolProcessingError):
                raise self._tool
            return await self._use(self._tool, seal)
        except ToolProcessingError as error:
            return _Failed(error, seal)
        except SealBroken:
            return _Failed(JobErased(), None)
        except Exception as error:
            stack = "".join(traceback.format_exception(error))[-STACK_CHARACTERS_MAX:]
            return _Failed(InternalError(stack=stack), seal)

    async def _use(self, tool: AnyTool, seal: Seal) -> _Success:
        job, equipment = self.job, self._equipment
        options = await self._options(seal)
        if not (job.inputs or tool.output_formats or self._has_folder):
            # Nothing to keep apart, so no folder is made; it would cost more than such a run.
            run = self._tool_run(tool, options, (), NO_FOLDER)
            return _Success([], _sealed_notes(await self._runner.run(run, self._told), seal))
        async with Workspace(equipment.folder) as workspace:
            await workspace.make()
            inputs = await equipment.files.bring_in(job, seal, workspace)
            run = self._tool_run(tool, options, inputs, workspace.folder)
            made = await self._runner.run(run, self._told)
            await equipment.scan.check(tool, job, made.outputs)
            files = await equipment.files.store(job, seal, made.outputs)
            # Nobody else knows of them: what ends us while the folder goes must not lose them.
            self._is_reporting = True
            return _Success(files, _sealed_notes(made, seal))

    async def _options(self, seal: Seal) -> dict[str, Any]:
        """All options; the secret ones lie under a key that is gone once the job has ended."""
        options: dict[str, Any] = orjson.loads(seal.open(OPTIONS_FIELD, self.job.options))
        if self.job.secrets is not None:
            own = await self._seal(secrets_id(self.job.id))
            if own is None:
                raise SecretGone
            options |= orjson.loads(own.open(SECRETS_FIELD, self.job.secrets))
        return options

    def _tool_run(
        self,
        tool: AnyTool,
        options: dict[str, Any],
        inputs: tuple[InputFile, ...],
        folder: Path,
    ) -> ToolRun:
        return ToolRun(
            tool=tool.name,
            options=options,
            inputs=inputs,
            folder=folder,
            limits=_limits(tool, self.job),
            observed=self._observed,
        )

    async def _seal(self, subject_id: UUID) -> Seal | None:
        while True:
            try:
                return await self._equipment.keys.seal(subject_id)
            except KeysUnavailable:
                # The claim stands and its lease is kept: wait for Postgres, or for the end.
                await asyncio.sleep(KEY_PAUSE_SECONDS)

    # -- reporting ------------------------------------------------------------------------------

    async def _succeeded(self, success: _Success) -> None:
        resources = _resources(self._observed)

        def decide(job: Job, origin: Origin) -> None:
            job.succeed(
                *(self._lease, success.files, self._milliseconds, resources, origin), success.notes
            )

        job = await self._equipment.reports.record(self.job, decide)
        if job is None:
            await self._refused("succeeded")
            await self._equipment.files.delete(file.blob_key for file in success.files)
            return
        self._log.info("tool_processing_completed", duration_ms=self._milliseconds)
        self._count("succeeded")

    async def _failed(self, failed: _Failed) -> None:
        error = failed.error
        message = SealedText("")
        if failed.seal is not None:
            message = failed.seal.seal(MESSAGE_FIELD, error.message)
        failure = Failure(error.code, message, error.permanent)
        jitter = random.random()  # noqa: S311 - spreads retries, hides nothing
        resources = _resources(self._observed)

        def decide(job: Job, origin: Origin) -> None:
            job.fail(self._lease, failure, self._milliseconds, resources, jitter, origin)

        self._log.warning(
            "tool_processing_failed",
            duration_ms=self._milliseconds,
            code=error.code,
            permanent=error.permanent,
            # Without the message: it is for the file's owner and may quote the file.
            stack=error.stack or "".join(traceback.format_tb(error.__traceback__)),
        )
        job = await self._equipment.reports.record(self.job, decide)
        if job is None:
            await self._refused("failed")
            return
        is_final = job.status is JobStatus.FAILED
        self._count(_outcome(error, is_final))
        if is_final:
            metrics.JOBS_FAILED.labels(metrics.TOOL_LABEL.of(self.job.tool)).inc()

    async def _keep_log(self) -> None:
        if self._opened is not None:
            written = self._observed.written
            await self._equipment.logs.keep(self.job, self._lease, self._opened, written)

    async def _refused(self, outcome: str) -> None:
        self._log.warning("late_outcome_refused", lease=self._lease, outcome=outcome)
        metrics.LATE_OUTCOMES_REFUSED.inc()
        self._count("lost")
        await self._equipment.reports.refuse(self.job.id, self._lease, outcome)

    async def _ended(self, ending: Ending) -> None:
        """The tool was stopped; say so where somebody needs to know."""
        self._log.info("attempt_ended", ending=ending.name.lower(), duration_ms=self._milliseconds)
        match ending:
            case Ending.CANCELLED:
                await self._keep_log()
                metrics.LEASES_LOST.inc()
                self._count("cancelled")
            case Ending.SUPERSEDED:
                metrics.LEASES_LOST.inc()
                await self._refused("failed")
                await self._keep_log()
            case Ending.HANDED_BACK:
                self._is_reporting = True
                await self._equipment.reports.record(
                    self.job, lambda job, origin: job.hand_back(self._lease, origin)
                )
                self._count("released")
                await self._keep_log()
            case _:
                assert_never(ending)

    @property
    def _milliseconds(self) -> int:
        return int((time.monotonic() - self._began) * 1000)

    def _count(self, outcome: str) -> None:
        ended, seconds = _measures(metrics.TOOL_LABEL.of(self.job.tool), outcome)
        ended.inc()
        seconds.observe(time.monotonic() - self._began)


@lru_cache(maxsize=1_000)
def _measures(tool: str, outcome: str) -> tuple[Counter, Histogram]:
    return metrics.ATTEMPTS.labels(tool, outcome), metrics.ATTEMPT_SECONDS.labels(tool)


def _outcome(error: ToolProcessingError, is_final: bool) -> str:
    if isinstance(error, ToolTimeout):
        return "timed_out"
    return "failed" if is_final else "retrying"


def _sealed_notes(made: ToolOutcome, seal: Seal) -> SealedText | None:
    """What the owner should know about the outputs; it may quote the files."""
    return seal.seal(NOTES_FIELD, orjson.dumps(made.notes).decode()) if made.notes else None


def _limits(tool: AnyTool, job: Job) -> ToolLimits:
    """The tool's limits, with the deadline that the job was accepted with."""
    if tool.limits.wall_seconds == job.timeout_seconds:
        return tool.limits
    return replace(tool.limits, wall_seconds=job.timeout_seconds)


def _resources(observed: Observed) -> dict[str, float]:
    resources: dict[str, float] = {}
    if observed.peak_rss_bytes is not None:
        resources["peak_rss_bytes"] = observed.peak_rss_bytes
    if observed.cpu_seconds is not None:
        resources["cpu_seconds"] = observed.cpu_seconds
    return resources
