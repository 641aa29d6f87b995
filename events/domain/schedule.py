"""The schedule: a job that is submitted by a plan, one job for each of its times.

It decides from its own facts which time is due and what becomes of those that passed while nobody
looked. The fact and the job's submission are one append, so however many clocks look at a time,
there is one job for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Self
from uuid import UUID

from events.contracts import schedule as facts
from events.contracts.fact import AnyFact
from events.contracts.timetable import BadCron, Timetable
from events.contracts.values import DEFAULT_QUEUE, FileRef, Origin, SealedText
from events.domain.aggregate import Aggregate
from events.domain.errors import (
    ScheduleIsActive,
    ScheduleIsPaused,
    ScheduleNotDue,
    ScheduleNotFound,
)

CATCH_UP_MAX = 100
"""How many missed times get a job of their own; of more, the latest."""
PASSED_OVER_COUNTED_MAX = 1_000
LATE = timedelta(seconds=60)
"""A time that is fired within this is on time, for plans that skip what they missed."""


LATER_TERMS = frozenset({"inputs", "secrets"})
"""Left out of a fact where they say nothing, as templates had none before."""


class Missed(StrEnum):
    """What becomes of times that passed unfired."""

    COALESCE = "coalesce"
    """One job for all of them."""
    CATCH_UP = "catch_up"
    """One job for each, up to a limit."""
    SKIP = "skip"
    """No job."""


class ScheduleStatus(StrEnum):
    """Whether a schedule fires."""

    ACTIVE = "active"
    PAUSED = "paused"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Plan:
    """When a schedule fires."""

    cron: str
    zone: str = "UTC"
    missed: Missed = Missed.COALESCE

    @property
    def timetable(self) -> Timetable:
        """Its ticks; raises BadCron, UnknownZone."""
        return Timetable(self.cron, self.zone)

    def next_after(self, moment: datetime) -> datetime:
        """The first time after the moment; raises BadCron if there is none."""
        tick = self.timetable.next_after(moment)
        if tick is None:
            raise BadCron("This line never fires.")
        return tick


@dataclass(frozen=True, slots=True)
class Template:
    """The job that a schedule submits, with files that the schedule owns until it is deleted."""

    tool: str
    options: SealedText
    """Sealed with the schedule's key."""
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    labels: SealedText | None = None
    label_tokens: tuple[str, ...] = ()
    timeout_seconds: float | None = None
    queue_seconds_max: float | None = None
    inputs: Sequence[FileRef] = ()
    """Their names are sealed with the schedule's key; each of its jobs names the same blobs."""
    secrets: SealedText | None = None
    """Sealed under the key of `secrets_id`, which ends with the schedule."""

    def as_json(self) -> dict[str, Any]:
        """The form a fact carries."""
        value = asdict(self) | {"label_tokens": list(self.label_tokens)}
        value["inputs"] = [file.as_json() for file in self.inputs]
        return {name: each for name, each in value.items() if each or name not in LATER_TERMS}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read the form a fact carries; fields that a later version added are left aside."""
        known = {name: value[name] for name in cls.__slots__ if name in value}
        files = tuple(FileRef.from_json(each) for each in value.get("inputs", ()))
        return cls(**known | {"label_tokens": tuple(value["label_tokens"]), "inputs": files})


class Schedule(Aggregate):
    """One plan and the job that it submits."""

    TOPIC = "magictoolbox.schedule"
    FOLDS: ClassVar[dict[type[AnyFact], str]] = {
        facts.ScheduleCreated: "_created",
        facts.ScheduleChanged: "_changed",
        facts.SchedulePaused: "_paused",
        facts.ScheduleResumed: "_resumed",
        facts.ScheduleFired: "_fired",
        facts.ScheduleSkipped: "_skipped",
        facts.ScheduleDeleted: "_deleted",
    }

    class Event(Aggregate.Event):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.schedule.event"

    class Created(Event, Aggregate.Created):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.schedule.begun"

    # -- deciding -------------------------------------------------------------------------------

    @classmethod
    def create(
        cls, schedule_id: UUID, name: SealedText, plan: Plan, template: Template, origin: Origin
    ) -> Self:
        """Begin a schedule; raises BadCron, UnknownZone."""
        return cls._create(
            facts.ScheduleCreated,
            id=schedule_id,
            owner=origin.actor,
            next_at=plan.next_after(origin.at).isoformat(),
            **_terms(name, plan, template),
            **origin.fields(),
        )

    def change(self, name: SealedText, plan: Plan, template: Template, origin: Origin) -> None:
        """Give it other terms; times that passed under the old plan are not made up for."""
        self._must_exist()
        next_at = plan.next_after(origin.at)
        self.trigger_event(
            facts.ScheduleChanged,
            next_at=None if self.is_paused else next_at.isoformat(),
            **_terms(name, plan, template),
            **origin.fields(),
        )

    def pause(self, origin: Origin) -> None:
        """Let it fire no more for a while."""
        self._must_exist()
        if self.is_paused:
            raise ScheduleIsPaused
        self.trigger_event(facts.SchedulePaused, **origin.fields())

    def resume(self, origin: Origin) -> None:
        """Let it fire again, from its next time on."""
        self._must_exist()
        if not self.is_paused:
            raise ScheduleIsActive
        next_at = self.plan.next_after(origin.at)
        self.trigger_event(facts.ScheduleResumed, next_at=next_at.isoformat(), **origin.fields())

    def delete(self, origin: Origin) -> None:
        """End it."""
        self._must_exist()
        self.trigger_event(facts.ScheduleDeleted, **origin.fields())

    def fire(self, job_id: UUID, origin: Origin) -> datetime | None:
        """Take the time that is due; returns it, or None if it is to be left at that.

        The job of that time, with this id, belongs into the same append. Raises ScheduleNotDue.
        """
        is_catching_up = self.plan.missed is Missed.CATCH_UP
        tick, passed_over = self._due(origin.at, CATCH_UP_MAX if is_catching_up else 1)
        if self.plan.missed is Missed.SKIP and origin.at - tick > LATE:
            self._trigger_skipped(tick, passed_over, None, origin)
            return None
        next_at = self.plan.next_after(tick)
        self._trigger_fired(job_id, tick, passed_over, next_at, origin)
        return tick

    def forgo(self, reason: str, origin: Origin) -> None:
        """Leave every time that is due at that, as no job can be made; raises ScheduleNotDue.

        `reason` is the code of what is in the way. The plan goes on from now: what is held back is
        not made up for, so that a schedule that cannot fire has one fact for each time at most.
        """
        tick, passed_over = self._due(origin.at, 1)
        self._trigger_skipped(tick, passed_over, reason, origin)

    def fire_now(self, job_id: UUID, origin: Origin) -> None:
        """Submit a job whatever the plan says, also while it is paused."""
        self._must_exist()
        self._trigger_fired(job_id, None, 0, self.next_at, origin)

    @property
    def is_paused(self) -> bool:
        """Whether it waits to be resumed."""
        return self.status is ScheduleStatus.PAUSED

    def _due(self, now: datetime, most: int) -> tuple[datetime, int]:
        """The first of the latest times that are due, and how many there are before it."""
        first = self.next_at
        if first is None or first > now:
            raise ScheduleNotDue(next_at=first)
        timetable = self.plan.timetable
        before = first - timedelta(seconds=1)
        # The plan's own next time counts even if the zone has changed its clocks since.
        tick = (timetable.latest(before, now, most) or [first])[0]
        passed_over = timetable.count(before, tick - timedelta(seconds=1), PASSED_OVER_COUNTED_MAX)
        return tick, passed_over

    def _trigger_fired(
        self,
        job_id: UUID,
        tick: datetime | None,
        passed_over: int,
        next_at: datetime | None,
        origin: Origin,
    ) -> None:
        self.trigger_event(
            facts.ScheduleFired,
            job=str(job_id),
            tick=None if tick is None else tick.isoformat(),
            passed_over=passed_over,
            next_at=None if next_at is None else next_at.isoformat(),
            **origin.fields(),
        )

    def _trigger_skipped(
        self, tick: datetime, passed_over: int, reason: str | None, origin: Origin
    ) -> None:
        self.trigger_event(
            facts.ScheduleSkipped,
            # This one has no job either.
            passed_over=passed_over + 1,
            next_at=self.plan.next_after(origin.at).isoformat(),
            tick=tick.isoformat(),
            reason=reason,
            **origin.fields(),
        )

    def _must_exist(self) -> None:
        if self.status is ScheduleStatus.DELETED:
            raise ScheduleNotFound

    # -- folding --------------------------------------------------------------------------------

    def _created(self, fact: facts.ScheduleCreated) -> None:
        self.tenant = fact.tenant
        self.owner = fact.owner
        self.correlation_id = fact.correlation_id
        self.status = ScheduleStatus.ACTIVE
        self.next_at: datetime | None = None
        self._take_terms(fact)

    def _changed(self, fact: facts.ScheduleChanged) -> None:
        self._take_terms(fact)

    def _paused(self, fact: facts.SchedulePaused) -> None:
        self.status = ScheduleStatus.PAUSED
        self.next_at = None

    def _resumed(self, fact: facts.ScheduleResumed) -> None:
        self.status = ScheduleStatus.ACTIVE
        self.next_at = _time(fact.next_at)

    def _fired(self, fact: facts.ScheduleFired) -> None:
        self.next_at = _time(fact.next_at)

    def _skipped(self, fact: facts.ScheduleSkipped) -> None:
        self.next_at = _time(fact.next_at)

    def _deleted(self, fact: facts.ScheduleDeleted) -> None:
        self.status = ScheduleStatus.DELETED
        self.next_at = None

    def _take_terms(self, fact: facts.ScheduleCreated | facts.ScheduleChanged) -> None:
        self.name = SealedText(fact.name)
        self.plan = Plan(fact.cron, fact.zone, Missed(fact.missed))
        self.template = Template.from_json(fact.template)
        self.next_at = _time(fact.next_at)


def _terms(name: SealedText, plan: Plan, template: Template) -> dict[str, Any]:
    return {
        "name": name,
        "cron": plan.cron,
        "zone": plan.zone,
        "missed": plan.missed.value,
        "template": template.as_json(),
    }


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
