"""Finds what the log has to say to workflows: those that were steered, and jobs that have ended.

It says too much rather than too little: whether a job has really ended is for its own history to
say. Jobs of workflows have ids of a kind that no other job has, so all others cost one comparison.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from events.contracts import job as facts
from events.contracts import workflow as workflows
from events.contracts.envelope import RecordedRow
from events.store.codec import Codec
from processors.workflow_tail import DERIVED, WorkflowTail

JOBS_REMEMBERED_MAX: Final = 100_000

JOB_TOPICS: Final = facts.JobSubmitted.TOPIC.rpartition(".")[0] + "."
NEVER_ENDS: Final = frozenset(
    fact.TOPIC
    for fact in (
        facts.AttemptStarted,
        facts.AttemptHandedBack,
        facts.JobDue,
        facts.JobReopened,
        facts.OutcomeRefused,
        facts.JobResultExpired,
    )
)
"""Facts after which a job has surely not just ended; of any other it may."""
STEERED: Final = frozenset(
    fact.TOPIC
    for fact in (
        workflows.WorkflowSubmitted,
        workflows.WorkflowCancelled,
        workflows.WorkflowReopened,
    )
)


@dataclass(slots=True)
class News:
    """What concerns one workflow."""

    version: int = 0
    """The version that it has at least; 0 where that was not told."""
    jobs: dict[UUID, None] = field(default_factory=dict)
    """Jobs that may have ended, in the order of the log."""


class WorkflowNews:
    """Reads rows of the log for what concerns workflows."""

    def __init__(self, log: WorkflowTail) -> None:
        self._log = log
        self._codec = Codec()
        self._workflow_of: OrderedDict[UUID, UUID | None] = OrderedDict()

    async def of(self, rows: Sequence[RecordedRow]) -> dict[UUID, News]:
        """What these rows say, by workflow, in the order in which they are concerned first."""
        news: dict[UUID, News] = {}
        for row in rows:
            if row.topic in STEERED:
                news.setdefault(row.originator_id, News()).version = row.originator_version
            elif row.originator_id.version == DERIVED and row.topic.startswith(JOB_TOPICS):
                await self._of_job(row, news)
        return news

    async def _of_job(self, row: RecordedRow, news: dict[UUID, News]) -> None:
        if row.topic == facts.JobSubmitted.TOPIC:
            self._remember(row)
        elif row.topic not in NEVER_ENDS:
            workflow_id = await self._find(row.originator_id)
            if workflow_id is not None:
                news.setdefault(workflow_id, News()).jobs[row.originator_id] = None

    async def _find(self, job_id: UUID) -> UUID | None:
        if job_id not in self._workflow_of:
            first = await self._log.first_event(job_id)
            if first is None or first.topic != facts.JobSubmitted.TOPIC:
                return None
            self._remember(first)
        return self._workflow_of[job_id]

    def _remember(self, row: RecordedRow) -> None:
        fact = self._codec.decode_row(row).fact
        workflow = fact.workflow if isinstance(fact, facts.JobSubmitted) else None
        self._workflow_of[row.originator_id] = None if workflow is None else UUID(workflow)
        if len(self._workflow_of) > JOBS_REMEMBERED_MAX:
            self._workflow_of.popitem(last=False)
