"""The bulk operation: which jobs it is about, what is done to each, how far it has come.

What it does to a job is decided by that job: one that has moved on since the request is skipped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any, ClassVar, Final, Self
from uuid import UUID

from events.contracts import bulk as facts
from events.contracts.bulk import BulkAction, BulkStatus
from events.contracts.fact import AnyFact
from events.contracts.values import FINAL_STATUSES, JobStatus, Origin, SealedText
from events.domain.aggregate import Aggregate
from events.domain.errors import BulkIsFinal
from events.domain.job import Job

NO_JOB: Final = UUID(int=0)
"""Before the id of any job."""

STATUSES_OF: Final[Mapping[BulkAction, frozenset[JobStatus]]] = {
    BulkAction.CANCEL: frozenset(set(JobStatus) - FINAL_STATUSES),
    BulkAction.RETRY: frozenset({JobStatus.FAILED, JobStatus.CANCELLED}),
}
"""What may be done to jobs in which state."""

STATUSES_MEANT: Final[Mapping[BulkAction, frozenset[JobStatus]]] = {
    BulkAction.CANCEL: STATUSES_OF[BulkAction.CANCEL],
    BulkAction.RETRY: frozenset({JobStatus.FAILED}),
}
"""What a filter without states means: whoever called a job off hardly wants it back."""


@dataclass(frozen=True, slots=True)
class BulkFilter:
    """Which jobs: those that meet every condition that is set."""

    statuses: Sequence[JobStatus]
    owner: str | None = None
    tool: str | None = None
    queue: str | None = None
    error_code: str | None = None
    label_tokens: Sequence[str] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None

    def is_about(self, job: Job) -> bool:
        """Whether the job meets what never changes about a job."""
        return (
            self.owner in (None, job.owner)
            and self.tool in (None, job.tool)
            and self.queue in (None, job.queue)
            and set(self.label_tokens) <= set(job.label_tokens)
            and (self.created_after is None or job.created_on > self.created_after)
            and (self.created_before is None or job.created_on < self.created_before)
        )

    def finds(self, job: Job) -> bool:
        """Whether the job meets the rest too, as it is now."""
        return job.status in self.statuses and self.error_code in (None, job.error_code)

    def as_json(self) -> dict[str, Any]:
        """The form a fact carries."""
        times = {name: _text(getattr(self, name)) for name in ("created_after", "created_before")}
        statuses = sorted(status.value for status in self.statuses)
        return (
            asdict(self)
            | times
            | {
                "statuses": statuses,
                "label_tokens": list(self.label_tokens),
            }
        )

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read the form a fact carries."""
        return cls(
            statuses=tuple(JobStatus(status) for status in value["statuses"]),
            owner=value["owner"],
            tool=value["tool"],
            queue=value["queue"],
            error_code=value["error_code"],
            label_tokens=tuple(value["label_tokens"]),
            created_after=_time(value["created_after"]),
            created_before=_time(value["created_before"]),
        )


class Finding(Enum):
    """What became of one job."""

    NOT_MEANT = auto()
    SKIPPED = auto()
    MATCHED = auto()


@dataclass(slots=True)
class Tally:
    """How far an operation has come."""

    cursor: UUID = NO_JOB
    matched: int = 0
    changed: int = 0
    skipped: int = 0


class BulkOperation(Aggregate):
    """One request about many jobs, from its submission to its end."""

    TOPIC = "magictoolbox.bulk"
    FOLDS: ClassVar[dict[type[AnyFact], str]] = {
        facts.BulkRequested: "_requested",
        facts.BulkProgressed: "_progressed",
        facts.BulkFinished: "_finished",
        facts.BulkCancelled: "_cancelled",
    }

    class Event(Aggregate.Event):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.bulk.event"

    class Created(Event, Aggregate.Created):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.bulk.created"

    # -- deciding -------------------------------------------------------------------------------

    @classmethod
    def request(
        cls,
        bulk_id: UUID,
        action: BulkAction,
        wanted: BulkFilter,
        labels: SealedText | None,
        origin: Origin,
        *,
        dry_run: bool,
    ) -> Self:
        """Accept a request."""
        return cls._create(
            facts.BulkRequested,
            id=bulk_id,
            owner=origin.actor,
            action=action.value,
            filter=wanted.as_json(),
            labels=labels,
            dry_run=dry_run,
            **origin.fields(),
        )

    def deal_with(self, job: Job, origin: Origin) -> Finding:
        """Do to a job what was asked for, if it is still what was meant; `origin` is the job's."""
        if job.tenant != self.tenant or job.created_on > self.created_on:
            return Finding.NOT_MEANT
        if not self.wanted.is_about(job):
            return Finding.NOT_MEANT
        if not self.wanted.finds(job) or self._leaves(job):
            return Finding.SKIPPED
        if not self.dry_run and self.action is BulkAction.CANCEL:
            job.cancel(origin)
        elif not self.dry_run:
            job.reopen(origin)
        return Finding.MATCHED

    def progress(self, tally: Tally, origin: Origin) -> None:
        """Record how far it has come."""
        self._must_run()
        self.trigger_event(
            facts.BulkProgressed,
            cursor=str(tally.cursor),
            matched=tally.matched,
            changed=tally.changed,
            skipped=tally.skipped,
            **origin.fields(),
        )

    def finish(self, tally: Tally, origin: Origin) -> None:
        """Record that there is nothing left to look at."""
        self._must_run()
        self.trigger_event(
            facts.BulkFinished,
            matched=tally.matched,
            changed=tally.changed,
            skipped=tally.skipped,
            **origin.fields(),
        )

    def cancel(self, origin: Origin) -> None:
        """Leave the rest of the jobs alone."""
        self._must_run()
        self.trigger_event(facts.BulkCancelled, **origin.fields())

    @property
    def tally(self) -> Tally:
        """How far it has come, as recorded; a copy."""
        return Tally(self.cursor, self.matched, self.changed, self.skipped)

    def _leaves(self, job: Job) -> bool:
        """Whether the job is for its workflow to try again."""
        return self.action is BulkAction.RETRY and job.workflow is not None

    def _must_run(self) -> None:
        if self.status is not BulkStatus.RUNNING:
            raise BulkIsFinal(
                f"The bulk operation has already {_ended(self.status)}.", status=self.status
            )

    # -- folding --------------------------------------------------------------------------------

    def _requested(self, fact: facts.BulkRequested) -> None:
        self.tenant = fact.tenant
        self.owner = fact.owner
        self.correlation_id = fact.correlation_id
        self.action = BulkAction(fact.action)
        self.wanted = BulkFilter.from_json(fact.filter)
        self.dry_run = fact.dry_run
        self.status = BulkStatus.RUNNING
        self.cursor = NO_JOB
        self.matched = self.changed = self.skipped = 0

    def _progressed(self, fact: facts.BulkProgressed) -> None:
        self.cursor = UUID(fact.cursor)
        self._counted(fact)

    def _finished(self, fact: facts.BulkFinished) -> None:
        self.status = BulkStatus.FINISHED
        self._counted(fact)

    def _cancelled(self, fact: facts.BulkCancelled) -> None:
        self.status = BulkStatus.CANCELLED

    def _counted(self, fact: facts.BulkProgressed | facts.BulkFinished) -> None:
        self.matched, self.changed, self.skipped = fact.matched, fact.changed, fact.skipped


def _ended(status: BulkStatus) -> str:
    return "been cancelled" if status is BulkStatus.CANCELLED else status.value


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
