"""Makes what a schedule submits: checked as a job at its submission, its files the schedule's own.

Uploads and results expire, and a plan outlives them; so each file is copied when the schedule is
made, and its jobs name the copy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from command_api.errors import InvalidSchedule
from command_api.input_files import InputFile, InputFiles, owned
from command_api.job_terms import timeout_within
from command_api.options import canonical
from command_api.schedule_commands import JobTemplate
from command_api.secret_options import parted, with_kept
from command_api.tool_cache import CachedOffer
from command_api.tool_check import ToolCheck
from events.contracts.sealed_fields import LABELS_FIELD, OPTIONS_FIELD, SECRETS_FIELD
from events.contracts.values import FileRef, SealedText
from events.domain.schedule import Template
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.sealing import Seal, Sealer
from infrastructure.principals import Principal

JOB_FIELD: Final = "job"


@dataclass(frozen=True, slots=True)
class ScheduleSeals:
    """The keys of a schedule: one for its words, one for secrets, which ends with it."""

    words: Seal
    secrets: Seal | None
    """None: it was made before schedules had one."""


class ScheduleTemplates:
    """Makes templates."""

    def __init__(self, tools: ToolCheck, files: InputFiles, sealer: Sealer) -> None:
        self._tools = tools
        self._files = files
        self._sealer = sealer

    async def find(self, principal: Principal, job: JobTemplate) -> list[InputFile]:
        """The files that it names; raises what `InputFiles.find` does."""
        return await self._files.find(principal, job.inputs or ())

    async def make(
        self,
        principal: Principal,
        job: JobTemplate,
        files: Sequence[InputFile],
        seals: ScheduleSeals,
        blobs: ProvisionalBlobs,
    ) -> Template:
        """The template with copies of these files; raises what `ToolCheck.check` does."""
        tool = await self._checked(job, files)
        copies = [await owned(file, principal.tenant, seals.words, blobs) for file in files]
        return self._template(principal, job, tool, copies, seals)

    async def change(
        self, principal: Principal, job: JobTemplate, kept: Sequence[FileRef], seals: ScheduleSeals
    ) -> Template:
        """The template with files that the schedule has already; raises the same."""
        tool = await self._checked(job, kept)
        return self._template(principal, job, tool, kept, seals)

    async def with_kept_secrets(
        self, job: JobTemplate, before: Template, seals: ScheduleSeals
    ) -> JobTemplate:
        """The job of a change with the secrets that its tool was given before and it leaves out.

        They are shown to nobody, so nobody who changes something else could name them again.
        """
        if before.secrets is None or seals.secrets is None or before.tool != job.tool:
            return job
        names = await self._tools.secret_names(job.tool)
        secrets = orjson.loads(seals.secrets.open(SECRETS_FIELD, before.secrets))
        # A newer version of the tool may have given up an option.
        kept = {name: value for name, value in secrets.items() if name in names}
        return replace(job, options=with_kept(job.options, kept))

    async def _checked(self, job: JobTemplate, files: Sequence[InputFile | FileRef]) -> CachedOffer:
        tool = await self._tools.check(job.tool, job.options, files)
        timeout_within(job.timeout_seconds, tool.offer.timeout_seconds)
        return tool

    def _template(
        self,
        principal: Principal,
        job: JobTemplate,
        tool: CachedOffer,
        files: Sequence[FileRef],
        seals: ScheduleSeals,
    ) -> Template:
        open_ones, secrets = parted(job.options, tool.offer.options_schema)
        labels: SealedText | None = None
        if job.labels:
            labels = seals.words.seal(LABELS_FIELD, orjson.dumps(job.labels).decode())
        tokens = [
            self._sealer.label_token(principal.tenant, *label)
            for label in sorted(job.labels.items())
        ]
        return Template(
            tool=tool.name,
            options=seals.words.seal(OPTIONS_FIELD, canonical(open_ones)),
            queue=job.queue,
            priority=job.priority,
            labels=labels,
            label_tokens=tuple(tokens),
            timeout_seconds=job.timeout_seconds,
            queue_seconds_max=job.queue_seconds_max,
            inputs=tuple(files),
            secrets=_sealed(secrets, seals.secrets) if secrets else None,
        )


def _sealed(secrets: Mapping[str, Any], seal: Seal | None) -> SealedText:
    if seal is None:
        message = "This schedule is too old to keep a secret; make it anew."
        raise invalid_schedule(f"{JOB_FIELD}.options.{min(secrets)}", message)
    return seal.seal(SECRETS_FIELD, canonical(secrets))


def invalid_schedule(field: str, message: str) -> InvalidSchedule:
    """The refusal that names this field."""
    detail: dict[str, Any] = {"field": field, "message": message, "code": InvalidSchedule.code}
    return InvalidSchedule(errors=[detail])
