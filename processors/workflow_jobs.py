"""Makes the jobs of a step: from the files of the workflow and from what other steps made.

Each job gets blobs and a key of its own, as if a client had submitted it. What the tool would not
take is found here, so that the step fails with a code and no workflow waits for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from events.contracts.sealed_fields import (
    LABELS_FIELD,
    NAME_FIELD,
    OPTIONS_FIELD,
    OUTPUT_FIELD,
    SECRETS_FIELD,
)
from events.contracts.tool import tool_id
from events.contracts.values import FileRef, Origin, SealedText
from events.contracts.workflow import step_job_id
from events.domain.errors import NotFound, WorkflowTooLarge
from events.domain.job import Job, JobRequest
from events.domain.tool import INPUT_BYTES_MAX, Offer, Tool
from events.domain.workflow import Workflow
from events.domain.workflow_plan import FAN_OUT_MAX, StepInput, StepPlan
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.repository import Repository
from events.store.sealing import Seal, SealBroken, Sealer, WrappedKey, secrets_id
from infrastructure.blobs.base import BlobNotFound, InsufficientStorage, checked_key
from processors.keys import Keys


class StepRefused(Exception):
    """The step cannot be started, and never will be: it has failed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class StepJobs:
    """The jobs of a step that are to be made, not yet recorded, with their keys."""

    jobs: Sequence[Job]
    keys: Sequence[WrappedKey]
    total: int
    """With those that the step keeps of an earlier round."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file that a job is to get; its name is open, for as long as the job is made."""

    name: str
    ref: FileRef


@dataclass(frozen=True, slots=True)
class _Words:
    """What the jobs of a step are told, open for as long as they are made."""

    options: str
    labels: str | None
    secrets: str | None


class JobMaker:
    """Makes the jobs of steps."""

    def __init__(self, repository: Repository, keys: Keys, sealer: Sealer) -> None:
        self._repository = repository
        self._keys = keys
        self._sealer = sealer

    async def jobs_of(
        self, workflow: Workflow, plan: StepPlan, blobs: ProvisionalBlobs, origin: Origin
    ) -> StepJobs:
        """The jobs of a step that is ready; raises StepRefused, KeysUnavailable, LogUnavailable."""
        offer = await self._offer(plan.tool)
        seal = await self._keys.seal(workflow.id)
        if seal is None:
            raise StepRefused("ERASED")
        every_job = [
            file for each in plan.inputs for file in await self._files(workflow, each, seal)
        ]
        inputs = [every_job]
        if plan.for_each is not None:
            outputs = await self._outputs(workflow, plan.for_each)
            inputs = [[output, *every_job] for output in outputs]
        if len(inputs) > workflow.room:
            raise StepRefused(WorkflowTooLarge.code)
        _check(offer, inputs)
        kept = workflow.kept(plan.id, len(inputs))
        if None not in kept:
            return StepJobs([], [], len(inputs))
        words = await self._words(workflow, plan, seal)
        try:
            made = [
                await self._job(workflow, plan, index, files, offer, words, blobs, origin)
                for index, files in enumerate(inputs)
                if kept[index] is None
            ]
        except BlobNotFound:
            raise StepRefused("INPUT_GONE") from None
        except (InsufficientStorage, OSError):
            raise StepRefused("INSUFFICIENT_STORAGE") from None
        keys = [key for _, own in made for key in own]
        return StepJobs([job for job, _ in made], keys, len(inputs))

    async def _offer(self, tool: str) -> Offer:
        try:
            offer = (await self._repository.load(Tool, tool_id(tool))).offered
        except NotFound:
            offer = None
        if offer is None:
            raise StepRefused("TOOL_NOT_FOUND")
        if not offer.available:
            raise StepRefused("TOOL_UNAVAILABLE")
        return offer

    async def _files(self, workflow: Workflow, wanted: StepInput, seal: Seal) -> list[_File]:
        if wanted.file is not None:
            return [_File(_opened(seal, NAME_FIELD, wanted.file.name), wanted.file)]
        assert wanted.step is not None  # noqa: S101 - an input is one or the other
        outputs = await self._outputs(workflow, wanted.step)
        if wanted.output is None:
            return outputs
        name = _opened(seal, OUTPUT_FIELD, wanted.output)
        named = [output for output in outputs if output.name == name]
        if not named and workflow.steps[wanted.step].succeeded_jobs:
            raise StepRefused("OUTPUT_NOT_FOUND")
        return named

    async def _outputs(self, workflow: Workflow, step: str) -> list[_File]:
        """What the jobs of a step made, in the order of the jobs; none of those that failed."""
        return [
            file
            for job_id in workflow.steps[step].succeeded_jobs
            for file in await self._outputs_of_job(job_id)
        ]

    async def _outputs_of_job(self, job_id: UUID) -> list[_File]:
        job = await self._repository.load(Job, job_id)
        if job.result_expired:
            raise StepRefused("RESULT_EXPIRED")
        seal = await self._keys.seal(job_id)
        if seal is None:
            raise StepRefused("ERASED")
        return [_File(_opened(seal, NAME_FIELD, file.name), file) for file in job.outputs]

    async def _words(self, workflow: Workflow, plan: StepPlan, seal: Seal) -> _Words:
        labels: str | None = None
        if workflow.labels is not None:
            labels = _opened(seal, LABELS_FIELD, workflow.labels)
        options = _opened(seal, f"{OPTIONS_FIELD}:{plan.id}", plan.options)
        return _Words(options, labels, await self._secrets(workflow, plan))

    async def _secrets(self, workflow: Workflow, plan: StepPlan) -> str | None:
        if plan.secrets is None:
            return None
        seal = await self._keys.seal(secrets_id(workflow.id))
        if seal is None:
            raise StepRefused("SECRET_GONE")
        return _opened(seal, f"{SECRETS_FIELD}:{plan.id}", plan.secrets)

    async def _job(
        self,
        workflow: Workflow,
        plan: StepPlan,
        index: int,
        files: Sequence[_File],
        offer: Offer,
        words: _Words,
        blobs: ProvisionalBlobs,
        origin: Origin,
    ) -> tuple[Job, list[WrappedKey]]:
        job_id = step_job_id(workflow.id, plan.id, workflow.round, index)
        seal, key = self._sealer.new_key(job_id, workflow.tenant, workflow.owner)
        keys, secrets = [key], None
        if words.secrets is not None:
            own, own_key = self._sealer.new_key(secrets_id(job_id), workflow.tenant, workflow.owner)
            keys, secrets = [key, own_key], own.seal(SECRETS_FIELD, words.secrets)
        request = JobRequest(
            owner=workflow.owner,
            tool=plan.tool,
            tool_version=offer.version,
            options=seal.seal(OPTIONS_FIELD, words.options),
            inputs=[await _own(file, seal, workflow.tenant, blobs) for file in files],
            queue=plan.queue,
            priority=plan.priority,
            labels=None if words.labels is None else seal.seal(LABELS_FIELD, words.labels),
            label_tokens=workflow.label_tokens,
            attempts_max=offer.attempts_max,
            timeout_seconds=offer.timeout_seconds,
            retry=offer.retry,
            workflow=workflow.id,
            step=plan.id,
            secrets=secrets,
        )
        return Job.submit(job_id, request, origin), keys


async def _own(file: _File, seal: Seal, tenant: str, blobs: ProvisionalBlobs) -> FileRef:
    """The file as the job's own: what it was made from may expire or be erased."""
    ref = file.ref
    key = await blobs.copy(checked_key(ref.blob_key), tenant)
    name = seal.seal(NAME_FIELD, file.name)
    return FileRef(name, ref.media_type, ref.size_bytes, ref.sha256, key)


def _check(offer: Offer, inputs: Sequence[Sequence[_File]]) -> None:
    """Whether the tool takes what each of the jobs would get; raises StepRefused."""
    if len(inputs) > FAN_OUT_MAX:
        raise StepRefused("FAN_OUT_TOO_WIDE")
    for files in inputs:
        if not offer.takes_number(len(files)):
            raise StepRefused("INVALID_INPUTS")
        if not all(offer.takes(file.ref.media_type) for file in files):
            raise StepRefused("UNSUPPORTED_MEDIA_TYPE")
        if sum(file.ref.size_bytes for file in files) > INPUT_BYTES_MAX:
            raise StepRefused("INPUTS_TOO_LARGE")


def _opened(seal: Seal, field: str, text: SealedText) -> str:
    try:
        return seal.open(field, text)
    except SealBroken:
        raise StepRefused("ERASED") from None
