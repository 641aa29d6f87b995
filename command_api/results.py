"""Tells what an ended job made, for callers that waited for it."""

from typing import Final

import orjson

from command_api.bodies import OutputBody
from command_api.keys import KeyRing
from command_api.links import Links
from events.contracts.sealed_fields import MESSAGE_FIELD, NAME_FIELD, NOTES_FIELD
from events.contracts.values import FileRef
from events.domain.job import QUEUE_TIMEOUT, WORKER_LOST, Job
from events.store.sealing import Seal, SealBroken

ERASED = "erased"
"""What stands where a name or message cannot be read any more."""
WITHOUT_WORDS: Final = {
    WORKER_LOST: "The tool did not finish: its workers fell silent.",
    QUEUE_TIMEOUT: "No worker started the job within the time that it was allowed to wait.",
}
"""What ended jobs without a tool saying why."""


class Results:
    """Opens what lies sealed in a job."""

    def __init__(self, keys: KeyRing, links: Links) -> None:
        self._keys = keys
        self._links = links

    async def outputs(self, job: Job) -> list[OutputBody]:
        """The files it made; raises LogUnavailable."""
        seal = await self._keys.seal(job.id)
        return [self._output(job, file, seal) for file in job.outputs]

    async def notes(self, job: Job) -> list[str]:
        """What the tool has to say about them; raises LogUnavailable."""
        seal = None if job.notes is None else await self._keys.seal(job.id)
        if seal is None or job.notes is None:
            return []
        try:
            return list(orjson.loads(seal.open(NOTES_FIELD, job.notes)))
        except SealBroken:
            return []

    async def error_message(self, job: Job) -> str:
        """Why it failed, in words for its owner."""
        if job.error_message is None:
            return WITHOUT_WORDS.get(job.error_code or "", ERASED)
        return _open(await self._keys.seal(job.id), MESSAGE_FIELD, job.error_message)

    def _output(self, job: Job, file: FileRef, seal: Seal | None) -> OutputBody:
        name = _open(seal, NAME_FIELD, file.name)
        return OutputBody(
            name=name,
            media_type=file.media_type,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            url=self._links.output(job.id, name),
        )


def _open(seal: Seal | None, field: str, text: str) -> str:
    try:
        return ERASED if seal is None else seal.open(field, text)
    except SealBroken:
        return ERASED
