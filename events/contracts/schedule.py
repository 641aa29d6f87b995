"""The facts of a schedule: a job that is submitted again and again, by a plan.

Fields marked as sealed hold `SealedText` under the schedule's own key, with the field's name as
context. The next time stands in the facts, so that folding them needs no calendar: the past stays
as it was when a country changes its clocks.
"""

from typing import Any, ClassVar

from events.contracts.fact import Fact, FirstFact


class ScheduleCreated(FirstFact):
    """A user asked for jobs by a plan."""

    TOPIC: ClassVar[str] = "magictoolbox.schedule.created"

    owner: str
    name: str
    """Sealed: what the user calls it."""
    cron: str
    zone: str
    missed: str
    """What becomes of times that passed unfired: `coalesce`, `catch_up` or `skip`."""
    template: dict[str, Any]
    """A `Template` object: the job to submit."""
    next_at: str
    """When it fires next (ISO 8601, UTC)."""


class ScheduleChanged(Fact):
    """The user gave it another plan, job or name; everything stands here as it is from now on."""

    TOPIC: ClassVar[str] = "magictoolbox.schedule.changed"

    name: str
    cron: str
    zone: str
    missed: str
    template: dict[str, Any]
    next_at: str | None
    """None: it is paused."""


class SchedulePaused(Fact):
    """It does not fire until it is resumed; times that pass meanwhile are not missed."""

    TOPIC: ClassVar[str] = "magictoolbox.schedule.paused"


class ScheduleResumed(Fact):
    """It fires again."""

    TOPIC: ClassVar[str] = "magictoolbox.schedule.resumed"

    next_at: str


class ScheduleFired(Fact):
    """A job was submitted; its first fact stands in the same append."""

    TOPIC: ClassVar[str] = "magictoolbox.schedule.fired"

    job: str
    tick: str | None
    """The time of the plan that the job stands for; None: somebody wanted it now."""
    passed_over: int
    """How many earlier times got no job of their own; counted up to a limit."""
    next_at: str | None
    """None: it is paused, and was fired by hand."""


class ScheduleSkipped(Fact):
    """Times passed unfired, and it is left at that."""

    TOPIC: ClassVar[str] = "magictoolbox.schedule.skipped"

    passed_over: int
    next_at: str
    tick: str | None = None
    """The latest of these times."""
    reason: str | None = None
    """The code of what kept its job from being made; None: its plan says so, as they are late."""


class ScheduleDeleted(Fact):
    """It is gone; the jobs that it submitted are not."""

    TOPIC: ClassVar[str] = "magictoolbox.schedule.deleted"
