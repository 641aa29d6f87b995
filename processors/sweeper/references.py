"""Which blobs somebody still needs: a fold of the facts that name blobs, and of those that let go.

A blob is named by an upload, job, workflow or schedule, at times by several, and goes when each has
let go of it by a later fact of its own. What may still be wanted keeps its blobs: a job that failed
or was called off can be tried again, so can a workflow. A fact that names blobs and is not folded
here would cost them their lives; `tests/unit/processors/test_sweeper.py` looks for one in the
golden corpus.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

from events.contracts import job, schedule, upload, workflow
from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from infrastructure.blobs.base import BadBlobKey, BlobKey, blob_id_of, checked_key

BLOB_KEY: Final = "blob_key"
"""The field of a fact, or of a file in it, that names a blob."""

FOLDED: Final[tuple[type[AnyFact], ...]] = (
    *(upload.UploadReceived, upload.UploadExpired),
    *(job.JobSubmitted, job.AttemptSucceeded, job.ResultReused, job.JobResultExpired),
    *(workflow.WorkflowSubmitted, workflow.WorkflowSucceeded),
    *(schedule.ScheduleCreated, schedule.ScheduleChanged, schedule.ScheduleDeleted),
)
TOPICS: Final = [fact.TOPIC for fact in FOLDED]


class Part(StrEnum):
    """What a blob is to the one that names it; all blobs of a part are let go together."""

    INPUT = "input"
    OUTPUT = "output"


Holding = tuple[UUID, Part]
"""Somebody, and what the blobs are to it."""


@dataclass(slots=True)
class ReferenceChanges:
    """The net effect of a stretch of the log: what is let go first, then what is named."""

    let_go: set[Holding] = field(default_factory=set)
    named: dict[Holding, set[UUID]] = field(default_factory=dict)

    def fold(self, row: RecordedRow, fact: AnyFact) -> None:
        """Fold one event."""
        inputs, outputs = (row.originator_id, Part.INPUT), (row.originator_id, Part.OUTPUT)
        match fact:
            case upload.UploadReceived():
                self._name(inputs, {BLOB_KEY: fact.blob_key})
            case job.JobSubmitted():
                self._name(inputs, fact.inputs)
            case workflow.WorkflowSubmitted():
                self._name(inputs, fact.steps)
            case schedule.ScheduleCreated():
                self._name(inputs, fact.template)
            case schedule.ScheduleChanged():
                self._let_go(inputs)
                self._name(inputs, fact.template)
            case job.AttemptSucceeded() | job.ResultReused():
                self._let_go(inputs)
                self._name(outputs, fact.outputs)
            case job.JobResultExpired():
                self._let_go(outputs)
            case upload.UploadExpired() | workflow.WorkflowSucceeded() | schedule.ScheduleDeleted():
                self._let_go(inputs)

    def pairs(self) -> list[tuple[UUID, Part, UUID]]:
        """What is named, one blob at a time."""
        return [(*holding, blob_id) for holding, ids in self.named.items() for blob_id in ids]

    def _name(self, holding: Holding, value: Any) -> None:
        if ids := set(blob_ids_in(value)):
            self.named.setdefault(holding, set()).update(ids)

    def _let_go(self, holding: Holding) -> None:
        self.named.pop(holding, None)
        self.let_go.add(holding)


def blob_ids_in(value: Any) -> Iterator[UUID]:
    """The blobs that a JSON value names, however deep."""
    if isinstance(value, dict):
        if isinstance(key := value.get(BLOB_KEY), str) and (blob_id := _id_of(key)):
            yield blob_id
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from blob_ids_in(each)


def _id_of(key: str) -> UUID | None:
    """None for what cannot be a blob's key, and so names none."""
    try:
        return blob_id_of(checked_key(key))
    except BadBlobKey:
        return None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a pass over the blobs begins."""

    log_began: datetime | None
    """When the first event was recorded; None: there is none."""
    place: BlobKey | None
    """The last blob that was looked at, if a pass was broken off."""


class References(Protocol):
    """What the sweeper asks; held to one suite of tests with its twin in memory."""

    async def begin(self) -> Standing:
        """See where things stand; what turns out to be damaged is made anew by `catch_up`."""
        ...

    async def catch_up(self) -> bool:
        """Fold what was appended since; True once all that was in the log at the call is in."""
        ...

    async def unreferenced(self, blob_ids: Sequence[UUID]) -> set[UUID]:
        """Those that nobody needs, as far as the log was folded."""
        ...

    async def keep_place(self, place: BlobKey | None) -> None:
        """Remember the last blob that was looked at; None: all have been."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...
