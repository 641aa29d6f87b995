"""What the API shows of workflows, and how it is made from their rows; see `views`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import Field

from events.contracts import workflow as facts
from events.contracts.envelope import RecordedEvent
from events.contracts.fact import AnyFact
from events.contracts.values import JobStatus
from events.contracts.workflow import StepStatus, WorkflowKind, WorkflowStatus
from query_api.links import Links
from query_api.queries.workflows import WorkflowDetailRow, WorkflowRow
from query_api.sealed import SealedText
from query_api.views import EventView, View

Policy = str | dict[str, int]
"""As a client writes it: `all`, `any`, `always`, or `{"at_least": n}`."""

DETAILS: Final[Mapping[type[AnyFact], tuple[str, ...]]] = {
    facts.WorkflowSubmitted: ("kind", "on_failure"),
    facts.StepStarted: ("step", "round", "jobs", "kept"),
    facts.StepJobsEnded: ("step", "round", "ended"),
    facts.StepEnded: ("step", "round", "status", "code", "ended"),
    facts.StepsSkipped: ("round", "skipped"),
    facts.WorkflowSucceeded: ("round", "counts"),
    facts.WorkflowFailed: ("round", "counts"),
    facts.WorkflowCancelled: ("round", "counts"),
    facts.WorkflowReopened: ("round", "again", "kept"),
}
"""Which fields of a fact are shown; none is sealed."""


class WorkflowView(View):
    """A workflow as its latest event left it."""

    workflow_id: UUID
    kind: WorkflowKind
    name: str | None
    status: WorkflowStatus
    owner: str
    on_failure: str
    round: int = Field(description="Which time it is run, from 1; a retry begins another.")
    counts: dict[str, int] = Field(description="How many steps and jobs there are, ended how.")
    labels: dict[str, Any] | None
    request_id: str = Field(description="Of the request that submitted it.")
    created_at: datetime
    ended_at: datetime | None
    version: int = Field(description="Of the workflow: its number of events.")
    position: int = Field(description="Of its latest event in the log.")
    links: dict[str, str]


class StepJobView(View):
    """A job of a step."""

    job_id: UUID
    ended: JobStatus | None = Field(description="How it ended; null until the workflow knows.")
    links: dict[str, str]


class StepView(View):
    """A step: its plan, and where it is."""

    id: str
    tool: str
    status: StepStatus
    code: str | None = Field(description="Why it failed.")
    round: int = Field(description="In which it was run last; 0: in none yet.")
    after: list[str]
    takes: list[str] = Field(description="The steps whose outputs are its inputs.")
    for_each: str | None
    join: Policy
    quorum: Policy
    queue: str
    priority: int
    started_at: datetime | None
    ended_at: datetime | None
    jobs: list[StepJobView]


class WorkflowDetailView(WorkflowView):
    """One workflow with the state of every step."""

    steps: list[StepView] = Field(description="In the order of the document.")


class WorkflowPage(View):
    """Workflows, newest first."""

    items: list[WorkflowView]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")


def workflow_view(row: WorkflowRow, text: SealedText, links: Links) -> WorkflowView:
    """A workflow without its steps."""
    return WorkflowView.model_construct(**_fields(row, text, links))


def workflow_detail_view(
    row: WorkflowDetailRow, text: SealedText, links: Links
) -> WorkflowDetailView:
    """A workflow with its steps."""
    steps = [_step(plan, row.steps.get(plan["id"]), links) for plan in row.plan]
    return WorkflowDetailView(**_fields(row, text, links), steps=steps)


def workflow_event_view(event: RecordedEvent) -> EventView:
    """Something that happened to a workflow."""
    fact = event.fact
    details = {name: getattr(fact, name) for name in DETAILS[type(fact)]}
    if isinstance(fact, facts.WorkflowSubmitted):
        details["steps"] = [step["id"] for step in fact.steps]
    return EventView(
        position=event.position,
        version=event.version,
        topic=fact.TOPIC,
        actor=fact.actor,
        occurred_at=fact.timestamp,
        recorded_at=event.recorded_at,
        details=details,
    )


def _fields(row: WorkflowRow, text: SealedText, links: Links) -> dict[str, Any]:
    return {
        "workflow_id": row.workflow_id,
        "kind": WorkflowKind(row.kind),
        "name": text.workflow_name(row.name),
        "status": WorkflowStatus(row.status),
        "owner": row.owner,
        "on_failure": row.on_failure,
        "round": row.round,
        "counts": row.counts,
        "labels": text.labels(row.labels),
        "request_id": row.request_id,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
        "version": row.version,
        "position": row.position,
        "links": links.workflow(row.workflow_id, row.status),
    }


def _step(plan: Mapping[str, Any], state: Mapping[str, Any] | None, links: Links) -> StepView:
    known = state or {"status": StepStatus.PENDING, "round": 0, "jobs": []}
    return StepView(
        **{name: plan[name] for name in ("id", "tool", "after", "takes", "for_each")},
        **{name: plan[name] for name in ("queue", "priority")},
        **{name: known.get(name) for name in ("status", "round", "code", "started_at", "ended_at")},
        join=_policy(plan["join"]),
        quorum=_policy(plan["quorum"]),
        jobs=[_job(UUID(job), how, links) for job, how in known["jobs"]],
    )


def _policy(stored: str | int) -> Policy:
    return {"at_least": stored} if isinstance(stored, int) else stored


def _job(job_id: UUID, how: str | None, links: Links) -> StepJobView:
    # What may be done with a job is for the job to say: it may be further by now.
    ended = None if how is None else JobStatus(how)
    return StepJobView(job_id=job_id, ended=ended, links={"self": links.seen_job(job_id)})
