"""The workflow: which of its steps may start, what their ends mean, and how it all ended.

It promises that a step is started once in a round, that an end counts once however often and in
whatever order it is told, and that nothing happens after the end until somebody reopens it. It
knows jobs only by their ids and by how they ended; what they are made of is for others to say.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self
from uuid import UUID

from events.contracts import workflow as facts
from events.contracts.fact import AnyFact
from events.contracts.values import JobStatus, Origin, SealedText
from events.contracts.workflow import OnFailure, StepStatus, WorkflowKind, WorkflowStatus
from events.domain.aggregate import Aggregate
from events.domain.errors import (
    StepNotFound,
    StepNotReady,
    WorkflowIsFinal,
    WorkflowIsNotFinal,
    WorkflowTooLarge,
)
from events.domain.workflow_plan import WORKFLOW_JOBS_MAX, Policy, StepPlan, Verdict, in_order

JOBS_FAILED: Final = "JOBS_FAILED"
"""Code of a step of which not enough jobs have succeeded."""
FROM_THE_BEGINNING: Final = "*"
"""Stands for every step, where a step is named from which to try again."""

OPEN: Final = frozenset({StepStatus.PENDING, StepStatus.RUNNING})


@dataclass(frozen=True, slots=True)
class WorkflowRequest:
    """What a client asks for, after validation and sealing."""

    owner: str
    steps: Sequence[StepPlan]
    kind: WorkflowKind = WorkflowKind.WORKFLOW
    name: SealedText | None = None
    on_failure: OnFailure = OnFailure.STOP
    labels: SealedText | None = None
    label_tokens: Sequence[str] = ()


@dataclass(slots=True)
class StepState:
    """Where a step is."""

    status: StepStatus = StepStatus.PENDING
    round: int = 0
    """In which it was started last."""
    jobs: list[UUID] = field(default_factory=list)
    ended: dict[UUID, str] = field(default_factory=dict)
    """Its jobs that have ended, and how."""
    kept: list[UUID | None] = field(default_factory=list)
    """What it begins with when it is started: jobs that have succeeded, at their places among
    those that it had; None where one is run again."""

    @property
    def to_keep(self) -> list[UUID | None]:
        """What would be kept of it, were it run again: nothing where every job succeeded."""
        if not self.jobs:
            return self.kept
        done = [job if self.ended.get(job) == JobStatus.SUCCEEDED else None for job in self.jobs]
        return done if any(done) and None in done else []

    @property
    def succeeded_jobs(self) -> list[UUID]:
        """Those of its jobs that made what they should, in their order."""
        return [job for job in self.jobs if self.ended.get(job) == JobStatus.SUCCEEDED]


class Workflow(Aggregate):
    """Steps that wait for each other, from their submission to the end of the last one."""

    TOPIC = "magictoolbox.workflow"
    FOLDS: ClassVar[dict[type[AnyFact], str]] = {
        facts.WorkflowSubmitted: "_submitted",
        facts.StepStarted: "_step_started",
        facts.StepJobsEnded: "_jobs_ended",
        facts.StepEnded: "_step_ended",
        facts.StepsSkipped: "_steps_skipped",
        facts.WorkflowSucceeded: "_succeeded",
        facts.WorkflowFailed: "_failed",
        facts.WorkflowCancelled: "_cancelled",
        facts.WorkflowReopened: "_reopened",
    }

    class Event(Aggregate.Event):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.workflow.event"

    class Created(Event, Aggregate.Created):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.workflow.created"

    # -- deciding -------------------------------------------------------------------------------

    @classmethod
    def submit(cls, workflow_id: UUID, request: WorkflowRequest, origin: Origin) -> Self:
        """Accept steps that `workflow_plan.problems` has nothing to say against."""
        return cls._create(
            facts.WorkflowSubmitted,
            id=workflow_id,
            owner=request.owner,
            kind=request.kind.value,
            name=request.name,
            on_failure=request.on_failure.value,
            steps=[step.as_json() for step in request.steps],
            labels=request.labels,
            label_tokens=list(request.label_tokens),
            **origin.fields(),
        )

    def ready(self) -> list[StepPlan]:
        """The steps that may start now."""
        if self.status.is_final:
            return []
        pending = (self.plans[step] for step in self._order if self._is_pending(step))
        return [plan for plan in pending if self._verdict(plan) is Verdict.GO]

    def start_step(self, step: str, jobs: int, origin: Origin) -> list[UUID]:
        """Start a step that is ready, with so many jobs; returns the ids of those to be made."""
        self._must_be_ready(step)
        if jobs > self.room:
            raise WorkflowTooLarge(step=step, jobs_max=WORKFLOW_JOBS_MAX)
        kept = self.kept(step, jobs)
        made = [facts.step_job_id(self.id, step, self.round, index) for index in range(jobs)]
        self.trigger_event(
            facts.StepStarted,
            step=step,
            round=self.round,
            jobs=[str(old or new) for old, new in zip(kept, made, strict=True)],
            kept=[str(old) for old in kept if old is not None] or None,
            **origin.fields(),
        )
        if not made:
            self._end_step(step, {}, origin)
            self._settle(origin)
        return [new for old, new in zip(kept, made, strict=True) if old is None]

    @property
    def room(self) -> int:
        """How many jobs it may still have."""
        return WORKFLOW_JOBS_MAX - sum(len(state.jobs) for state in self.steps.values())

    def kept(self, step: str, jobs: int) -> list[UUID | None]:
        """Which of so many jobs of a step need not be made; None where one must."""
        kept = self.steps[step].kept
        # Another number cannot come of the same sources; if it does, nothing fits any more.
        return kept if len(kept) == jobs else [None] * jobs

    def fail_step(self, step: str, code: str, origin: Origin) -> None:
        """End a step that is ready but cannot be started."""
        self._must_be_ready(step)
        self.trigger_event(
            facts.StepEnded,
            step=step,
            round=self.round,
            status=StepStatus.FAILED.value,
            code=code,
            ended={},
            **origin.fields(),
        )
        self._settle(origin)

    def note_ended(self, ended: Mapping[UUID, str], origin: Origin) -> None:
        """Take in how jobs ended; what is known, or none of its business, changes nothing."""
        if self.status.is_final:
            return
        news: dict[str, dict[UUID, str]] = {}
        for job, how in ended.items():
            step = self._step_of.get(job)
            if step is not None and job not in self.steps[step].ended:
                news.setdefault(step, {})[job] = how
        for step, jobs in news.items():
            if len(self.steps[step].ended) + len(jobs) < len(self.steps[step].jobs):
                told = {str(job): how for job, how in jobs.items()}
                self.trigger_event(
                    facts.StepJobsEnded, step=step, round=self.round, ended=told, **origin.fields()
                )
            else:
                self._end_step(step, jobs, origin)
        if news:
            self._settle(origin)

    def cancel(self, origin: Origin) -> None:
        """Call the workflow off, whatever its steps are doing."""
        if self.status.is_final:
            raise WorkflowIsFinal(
                f"The workflow has already {_ended(self.status)}.", status=self.status
            )
        self._end(facts.WorkflowCancelled, origin)

    def reopen(self, from_step: str | None, origin: Origin, *, whole_steps: bool = False) -> None:
        """Try again what did not succeed, and `from_step`, and all that comes after these.

        Jobs that have succeeded are not run again only because another one of their step has not;
        with `whole_steps` they are.
        """
        if from_step not in (None, FROM_THE_BEGINNING, *self.plans):
            message = f"There is no step {from_step}."
            error = {"field": "from_step", "message": message, "code": StepNotFound.code}
            raise StepNotFound(message, errors=[error])
        if self.status is WorkflowStatus.SUCCEEDED:
            raise WorkflowIsFinal("The workflow has already succeeded.", status=self.status)
        if not self.status.is_final:
            raise WorkflowIsNotFinal(status=self.status)
        again = self._again(from_step)
        self.trigger_event(
            facts.WorkflowReopened,
            round=self.round + 1,
            again=again,
            kept=None if whole_steps else self._to_keep(again) or None,
            **origin.fields(),
        )

    def counts(self) -> dict[str, int]:
        """How many steps and jobs there are in the latest round, and how they ended."""
        states = self.steps.values()
        ends = [how for state in states for how in state.ended.values()]
        steps = {status.value: 0 for status in StepStatus if status not in OPEN}
        for state in states:
            if state.status not in OPEN:
                steps[state.status.value] += 1
        final = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)
        return {
            "steps": len(self.steps),
            **{f"steps_{status}": count for status, count in steps.items()},
            "jobs": sum(len(state.jobs) for state in states),
            **{f"jobs_{status.value}": ends.count(status.value) for status in final},
        }

    def _must_be_ready(self, step: str) -> None:
        if step not in self.plans:
            raise StepNotFound(step=step)
        is_ready = self._is_pending(step) and self._verdict(self.plans[step]) is Verdict.GO
        if self.status.is_final or not is_ready:
            raise StepNotReady(step=step, status=self.steps[step].status)

    def _is_pending(self, step: str) -> bool:
        return self.steps[step].status is StepStatus.PENDING

    def _verdict(self, plan: StepPlan, skipped: Collection[str] = ()) -> Verdict:
        """What has become of the steps that this one waits for; `skipped` are about to be."""
        needs = [self.steps[need].status for need in plan.needs if need not in skipped]
        is_stopped = self.on_failure is OnFailure.STOP and (self._doomed or bool(skipped))
        if is_stopped and plan.join.policy is not Policy.ALWAYS:
            return Verdict.NEVER
        still_open = sum(status in OPEN for status in needs)
        total = len(plan.needs)
        return plan.join.verdict(needs.count(StepStatus.SUCCEEDED), total - still_open, total)

    def _end_step(self, step: str, jobs: Mapping[UUID, str], origin: Origin) -> None:
        """The last of its jobs have ended: say how it ended."""
        ends = [*self.steps[step].ended.values(), *jobs.values()]
        succeeded = ends.count(JobStatus.SUCCEEDED)
        is_met = self.plans[step].quorum.verdict(succeeded, len(ends), len(ends)) is Verdict.GO
        self.trigger_event(
            facts.StepEnded,
            step=step,
            round=self.round,
            status=(StepStatus.SUCCEEDED if is_met else StepStatus.FAILED).value,
            code=None if is_met else JOBS_FAILED,
            ended={str(job): how for job, how in jobs.items()},
            **origin.fields(),
        )

    def _settle(self, origin: Origin) -> None:
        """Give up what cannot start any more, and end the workflow when nothing is left to do."""
        while skipped := self._hopeless():
            self.trigger_event(
                facts.StepsSkipped, round=self.round, skipped=skipped, **origin.fields()
            )
        if not any(state.status in OPEN for state in self.steps.values()):
            self._end(facts.WorkflowFailed if self._doomed else facts.WorkflowSucceeded, origin)

    def _hopeless(self) -> list[str]:
        """The steps that will never start, in order."""
        hopeless: dict[str, None] = {}
        for step in self._order:
            is_pending = self._is_pending(step)
            if is_pending and self._verdict(self.plans[step], hopeless) is Verdict.NEVER:
                hopeless[step] = None
        return list(hopeless)

    def _end(self, fact: type[Any], origin: Origin) -> None:
        self.trigger_event(fact, round=self.round, counts=self.counts(), **origin.fields())

    def _again(self, from_step: str | None) -> list[str]:
        """What is run again, in order."""
        again: set[str] = set()
        for step in self._order:
            is_named = from_step in (step, FROM_THE_BEGINNING)
            is_open = self.steps[step].status is not StepStatus.SUCCEEDED
            if is_named or is_open or not again.isdisjoint(self.plans[step].needs):
                again.add(step)
        return [step for step in self._order if step in again]

    def _to_keep(self, again: Collection[str]) -> dict[str, list[str | None]]:
        """What is kept of these steps: of those whose jobs would get the same files once more."""
        kept, others = {}, frozenset(again)
        for step in again:
            plan = self.plans[step]
            # What was begun before all its sources had ended may get more of them now.
            is_as_before = not plan.join.forgives and others.isdisjoint(plan.needs)
            if is_as_before and (jobs := self.steps[step].to_keep):
                kept[step] = [None if job is None else str(job) for job in jobs]
        return kept

    # -- folding --------------------------------------------------------------------------------

    def _submitted(self, fact: facts.WorkflowSubmitted) -> None:
        self.tenant = fact.tenant
        self.owner = fact.owner
        self.correlation_id = fact.correlation_id
        self.kind = WorkflowKind(fact.kind)
        self.name = None if fact.name is None else SealedText(fact.name)
        self.on_failure = OnFailure(fact.on_failure)
        self.labels = None if fact.labels is None else SealedText(fact.labels)
        self.label_tokens = list(fact.label_tokens)
        plans = [StepPlan.from_json(step) for step in fact.steps]
        self.plans = {plan.id: plan for plan in plans}
        self.steps = {plan.id: StepState() for plan in plans}
        self.status = WorkflowStatus.RUNNING
        self.round = 1
        self.abandoned: set[UUID] = set()
        """Jobs that may still run although the workflow was cancelled."""
        self._order = in_order(plans)
        self._forgiven = {need for plan in plans if plan.join.forgives for need in plan.needs}
        self._step_of: dict[UUID, str] = {}
        self._doomed = False

    def _step_started(self, fact: facts.StepStarted) -> None:
        jobs = [UUID(job) for job in fact.jobs]
        kept = dict.fromkeys(map(UUID, fact.kept or ()), JobStatus.SUCCEEDED.value)
        self.steps[fact.step] = StepState(StepStatus.RUNNING, fact.round, jobs, kept)
        self._step_of.update(dict.fromkeys(jobs, fact.step))

    def _jobs_ended(self, fact: facts.StepJobsEnded) -> None:
        self.steps[fact.step].ended.update(_by_id(fact.ended))

    def _step_ended(self, fact: facts.StepEnded) -> None:
        state = self.steps[fact.step]
        state.ended.update(_by_id(fact.ended))
        state.status = StepStatus(fact.status)
        state.round = fact.round
        if state.status is StepStatus.FAILED and fact.step not in self._forgiven:
            self._doomed = True

    def _steps_skipped(self, fact: facts.StepsSkipped) -> None:
        self._doomed = True
        self._close(fact.skipped)

    def _succeeded(self, fact: facts.WorkflowSucceeded) -> None:
        self.status = WorkflowStatus.SUCCEEDED

    def _failed(self, fact: facts.WorkflowFailed) -> None:
        self.status = WorkflowStatus.FAILED

    def _cancelled(self, fact: facts.WorkflowCancelled) -> None:
        self.status = WorkflowStatus.CANCELLED
        for state in self.steps.values():
            if state.status is StepStatus.RUNNING:
                state.status = StepStatus.CANCELLED
                self.abandoned.update(job for job in state.jobs if job not in state.ended)
        self._close(self.steps)

    def _reopened(self, fact: facts.WorkflowReopened) -> None:
        self.status = WorkflowStatus.RUNNING
        self.round = fact.round
        self._doomed = False
        for step in fact.again:
            for job in self.steps[step].jobs:
                self._step_of.pop(job, None)
            kept = (fact.kept or {}).get(step, ())
            self.steps[step] = StepState(kept=[None if job is None else UUID(job) for job in kept])

    def _close(self, steps: Iterable[str]) -> None:
        for step in steps:
            if self._is_pending(step):
                self.steps[step].status = StepStatus.SKIPPED


def _by_id(ended: Mapping[str, str]) -> dict[UUID, str]:
    return {UUID(job): how for job, how in ended.items()}


def _ended(status: WorkflowStatus) -> str:
    return "been cancelled" if status is WorkflowStatus.CANCELLED else status.value
