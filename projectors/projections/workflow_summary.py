"""Projects workflows as they stand now, with every step and its jobs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from events.contracts import workflow as facts
from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from events.contracts.values import JobStatus
from events.contracts.workflow import StepStatus, WorkflowStatus
from projectors.projections.job import JobRow
from projectors.read_models.workflow_summary import workflow_summary
from projectors.rows import KeyedRows, RowsChanged

ENDS_OF_STEPS: Final = tuple(
    each for each in StepStatus if each not in (StepStatus.PENDING, StepStatus.RUNNING)
)
ENDS_OF_JOBS: Final = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)
SHOWN: Final = ("id", "tool", "after", "for_each", "join", "quorum", "queue", "priority")
"""What the row keeps of a step's plan, besides the steps whose outputs it takes."""

Step = Mapping[str, Any]
"""`status`, `round`, `code`, `started_at`, `ended_at`, and `jobs` as [id, how it ended]."""


@dataclass(slots=True)
class WorkflowRow:
    """One row of `workflow_summary`."""

    workflow_id: UUID
    tenant: str
    owner: str
    kind: str
    status: str
    name: str | None
    labels: str | None
    on_failure: str
    round: int
    plan: str
    state: dict[str, Step]
    """Becomes text when it is written, and not at every fact; its values never change."""
    planned: int
    request_id: str
    created_at: datetime
    ended_at: datetime | None
    version: int
    position: int

    @property
    def steps(self) -> str:
        """The column of this name."""
        return orjson.dumps(self.state).decode()

    @property
    def counts(self) -> str:
        """The column of this name; the same as the workflow's own `counts`."""
        steps = [step["status"] for step in self.state.values()]
        ends = [how for step in self.state.values() for _, how in step["jobs"]]
        counted = {
            "steps": self.planned,
            **{f"steps_{each}": steps.count(each) for each in ENDS_OF_STEPS},
            "jobs": len(ends),
            **{f"jobs_{each}": ends.count(each) for each in ENDS_OF_JOBS},
        }
        return orjson.dumps(counted).decode()


CHANGING: Final = ("status", "round", "steps", "counts", "ended_at", "version", "position")


class WorkflowSummary:
    """Keeps each workflow as its latest fact left it."""

    name: Final = "workflow_summary"
    version: Final = 1

    def __init__(self) -> None:
        self.rows: KeyedRows[WorkflowRow] = KeyedRows(
            workflow_summary, "workflow_id", _loaded, CHANGING, is_done=_is_final
        )

    @property
    def handles(self) -> frozenset[type[AnyFact]]:
        """See `Projection.handles`."""
        return frozenset({facts.WorkflowSubmitted, *FOLDS})

    def fold(
        self, fact: Any, row: RecordedRow, job: JobRow | None, status_before: str | None
    ) -> None:
        """See `Projection.fold`."""
        key = fact.originator_id
        if type(fact) is facts.WorkflowSubmitted:
            self.rows.add(key, _submitted(fact, row.position))
            return
        found = self.rows.get(key)
        if found is None:
            raise RowsChanged(f"workflow_summary: no row before position {row.position}")
        FOLDS[type(fact)](found, fact)
        found.version = fact.originator_version
        found.position = row.position
        self.rows.change(key, found)


def _submitted(fact: facts.WorkflowSubmitted, position: int) -> WorkflowRow:
    return WorkflowRow(
        workflow_id=fact.originator_id,
        tenant=fact.tenant,
        owner=fact.owner,
        kind=fact.kind,
        status=WorkflowStatus.RUNNING,
        name=fact.name,
        labels=fact.labels,
        on_failure=fact.on_failure,
        round=1,
        plan=orjson.dumps([_planned(step) for step in fact.steps]).decode(),
        state={},
        planned=len(fact.steps),
        request_id=fact.correlation_id,
        created_at=fact.timestamp,
        ended_at=None,
        version=fact.originator_version,
        position=position,
    )


def _planned(step: Mapping[str, Any]) -> dict[str, Any]:
    taken = [each["step"] for each in step["inputs"] if "step" in each]
    return {**{name: step[name] for name in SHOWN}, "takes": list(dict.fromkeys(taken))}


def _loaded(*columns: Any) -> WorkflowRow:
    """The row as the table has it, its columns in order."""
    named = dict(zip((column.name for column in workflow_summary.c), columns, strict=True))
    state, counts = orjson.loads(named.pop("steps")), orjson.loads(named.pop("counts"))
    return WorkflowRow(**named, state=state, planned=counts["steps"])


def _step_started(row: WorkflowRow, fact: facts.StepStarted) -> None:
    kept = frozenset(fact.kept or ())
    _put(
        row,
        fact.step,
        status=StepStatus.RUNNING,
        round=fact.round,
        code=None,
        started_at=fact.timestamp,
        ended_at=None,
        jobs=[[job, JobStatus.SUCCEEDED if job in kept else None] for job in fact.jobs],
    )


def _jobs_ended(row: WorkflowRow, fact: facts.StepJobsEnded) -> None:
    _put(row, fact.step, jobs=_ended(row, fact.step, fact.ended))


def _step_ended(row: WorkflowRow, fact: facts.StepEnded) -> None:
    _put(
        row,
        fact.step,
        status=fact.status,
        round=fact.round,
        code=fact.code,
        ended_at=fact.timestamp,
        jobs=_ended(row, fact.step, fact.ended),
    )


def _steps_skipped(row: WorkflowRow, fact: facts.StepsSkipped) -> None:
    _skip(row, fact.skipped, fact.timestamp)


def _succeeded(row: WorkflowRow, fact: facts.WorkflowSucceeded) -> None:
    row.status, row.ended_at = WorkflowStatus.SUCCEEDED, fact.timestamp


def _failed(row: WorkflowRow, fact: facts.WorkflowFailed) -> None:
    row.status, row.ended_at = WorkflowStatus.FAILED, fact.timestamp


def _cancelled(row: WorkflowRow, fact: facts.WorkflowCancelled) -> None:
    row.status, row.ended_at = WorkflowStatus.CANCELLED, fact.timestamp
    for step, state in row.state.items():
        if state["status"] == StepStatus.RUNNING:
            _put(row, step, status=StepStatus.CANCELLED, ended_at=fact.timestamp)
    _skip(row, (step["id"] for step in orjson.loads(row.plan)), fact.timestamp)


def _reopened(row: WorkflowRow, fact: facts.WorkflowReopened) -> None:
    row.status, row.ended_at, row.round = WorkflowStatus.RUNNING, None, fact.round
    again = frozenset(fact.again)
    row.state = {step: state for step, state in row.state.items() if step not in again}


FOLDS: Final[dict[type[AnyFact], Callable[[WorkflowRow, Any], None]]] = {
    facts.StepStarted: _step_started,
    facts.StepJobsEnded: _jobs_ended,
    facts.StepEnded: _step_ended,
    facts.StepsSkipped: _steps_skipped,
    facts.WorkflowSucceeded: _succeeded,
    facts.WorkflowFailed: _failed,
    facts.WorkflowCancelled: _cancelled,
    facts.WorkflowReopened: _reopened,
}

_NOT_STARTED: Final[Step] = {
    "status": StepStatus.PENDING,
    "round": 0,
    "code": None,
    "started_at": None,
    "ended_at": None,
    "jobs": [],
}


def _put(row: WorkflowRow, step: str, **changes: Any) -> None:
    """Change a step: in new objects, because a copy of the row shares the old ones."""
    row.state = {**row.state, step: {**row.state.get(step, _NOT_STARTED), **changes}}


def _ended(row: WorkflowRow, step: str, ended: Mapping[str, str]) -> list[list[str | None]]:
    jobs = row.state.get(step, _NOT_STARTED)["jobs"]
    return [[job, ended.get(job, how)] for job, how in jobs]


def _skip(row: WorkflowRow, steps: Iterable[str], at: datetime) -> None:
    """Those of these steps that were not started will not be."""
    skipped = {**_NOT_STARTED, "status": StepStatus.SKIPPED, "round": row.round, "ended_at": at}
    row.state = {**dict.fromkeys(steps, skipped), **row.state}


def _is_final(row: WorkflowRow) -> bool:
    return row.ended_at is not None
