"""A schedule's rules: each of its times once, whatever was missed, paused or changed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from events.contracts import schedule as facts
from events.contracts.timetable import BadCron, Timetable, UnknownZone
from events.contracts.values import FileRef, SealedText
from events.domain.errors import (
    DomainError,
    ScheduleIsActive,
    ScheduleIsPaused,
    ScheduleNotDue,
    ScheduleNotFound,
)
from events.domain.schedule import CATCH_UP_MAX, Missed, Plan, Schedule, ScheduleStatus, Template
from events.store.codec import Codec
from infrastructure.ids import uuid7
from tests.fixtures.events import NOON, origin

NAME = SealedText("s1.name")
TEMPLATE = Template("no-op", SealedText("s1.options"), label_tokens=("a",))
MINUTE = timedelta(minutes=1)
SPRING = datetime(2026, 3, 28, 20, 3, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 24, 20, 3, tzinfo=UTC)
"""Some hours before the clocks of Vienna are changed."""


def at(moment: datetime) -> Any:
    return origin(at=moment)


def made(cron: str = "*/10 * * * *", missed: Missed = Missed.COALESCE, zone: str = "UTC") -> Any:
    return Schedule.create(uuid7(), NAME, Plan(cron, zone, missed), TEMPLATE, origin())


def fired(schedule: Schedule, moment: datetime) -> list[datetime]:
    """The times that get a job when somebody looks at that moment."""
    found = []
    while True:
        try:
            tick = schedule.fire(uuid7(), at(moment))
        except ScheduleNotDue:
            return found
        found += [tick] if tick else []


def passed_over(schedule: Schedule) -> int:
    told = (facts.ScheduleFired, facts.ScheduleSkipped)
    return sum(fact.passed_over for fact in schedule.pending_events if isinstance(fact, told))


def test_a_schedule_fires_at_its_time_and_not_before() -> None:
    schedule = made()

    with pytest.raises(ScheduleNotDue):
        schedule.fire(uuid7(), at(NOON + 9 * MINUTE))
    assert schedule.fire(uuid7(), at(NOON + 10 * MINUTE)) == NOON + 10 * MINUTE
    with pytest.raises(ScheduleNotDue):
        schedule.fire(uuid7(), at(NOON + 10 * MINUTE))
    assert schedule.next_at == NOON + 20 * MINUTE


def test_what_was_missed_gets_one_job_if_the_plan_says_so() -> None:
    schedule = made()

    assert fired(schedule, NOON + 35 * MINUTE) == [NOON + 30 * MINUTE]
    assert passed_over(schedule) == 2
    assert schedule.next_at == NOON + 40 * MINUTE


def test_what_was_missed_gets_a_job_each_if_the_plan_says_so() -> None:
    schedule = made(missed=Missed.CATCH_UP)

    assert fired(schedule, NOON + 35 * MINUTE) == [NOON + n * MINUTE for n in (10, 20, 30)]
    assert passed_over(schedule) == 0


def test_catching_up_has_a_limit_and_says_what_it_left_out() -> None:
    schedule = made("* * * * *", Missed.CATCH_UP)

    found = fired(schedule, NOON + 1_000 * MINUTE)

    assert found == [NOON + n * MINUTE for n in range(1_001 - CATCH_UP_MAX, 1_001)]
    assert passed_over(schedule) == 1_000 - CATCH_UP_MAX


def test_what_was_missed_gets_no_job_if_the_plan_says_so() -> None:
    schedule = made(missed=Missed.SKIP)

    assert fired(schedule, NOON + 35 * MINUTE) == []
    assert passed_over(schedule) == 3
    assert fired(schedule, NOON + 40 * MINUTE + timedelta(seconds=59)) == [NOON + 40 * MINUTE]


def test_what_skips_still_fires_the_time_that_is_now() -> None:
    schedule = made(missed=Missed.SKIP)

    assert fired(schedule, NOON + 30 * MINUTE + timedelta(seconds=2)) == [NOON + 30 * MINUTE]
    assert passed_over(schedule) == 2


@pytest.mark.parametrize("missed", list(Missed))
def test_times_whose_job_cannot_be_made_are_left_at_that_with_one_fact(missed: Missed) -> None:
    schedule = made(missed=missed)

    schedule.forgo("TOOL_NOT_FOUND", at(NOON + 35 * MINUTE))

    _, skipped = schedule.pending_events
    assert (skipped.reason, skipped.passed_over) == ("TOOL_NOT_FOUND", 3)
    assert skipped.tick == (NOON + 30 * MINUTE).isoformat()
    with pytest.raises(ScheduleNotDue):
        schedule.forgo("TOOL_NOT_FOUND", at(NOON + 35 * MINUTE))
    assert fired(schedule, NOON + 40 * MINUTE) == [NOON + 40 * MINUTE]
    assert passed_over(schedule) == 3


def test_a_time_that_is_skipped_by_its_plan_is_named_and_has_no_other_reason() -> None:
    schedule = made(missed=Missed.SKIP)

    assert fired(schedule, NOON + 35 * MINUTE) == []

    skipped = schedule.pending_events[-1]
    assert (skipped.tick, skipped.reason) == ((NOON + 30 * MINUTE).isoformat(), None)


def test_times_that_pass_in_a_pause_are_not_missed() -> None:
    schedule = made(missed=Missed.CATCH_UP)
    schedule.pause(origin())

    assert fired(schedule, NOON + 35 * MINUTE) == []
    schedule.resume(at(NOON + 35 * MINUTE))

    assert fired(schedule, NOON + 36 * MINUTE) == []
    assert schedule.next_at == NOON + 40 * MINUTE
    assert passed_over(schedule) == 0


def test_a_job_may_be_had_at_once_without_moving_the_plan() -> None:
    schedule = made()
    schedule.fire_now(uuid7(), at(NOON + MINUTE))
    assert schedule.next_at == NOON + 10 * MINUTE

    schedule.pause(origin())
    schedule.fire_now(uuid7(), at(NOON + 2 * MINUTE))

    assert (schedule.status, schedule.next_at) == (ScheduleStatus.PAUSED, None)


def test_another_plan_counts_from_now_on() -> None:
    schedule = made(missed=Missed.CATCH_UP)

    schedule.change(NAME, Plan("0 * * * *"), TEMPLATE, at(NOON + 35 * MINUTE))

    assert fired(schedule, NOON + 65 * MINUTE) == [NOON + 60 * MINUTE]


def test_a_paused_schedule_may_be_changed_and_stays_paused() -> None:
    schedule = made()
    schedule.pause(origin())

    schedule.change(NAME, Plan("0 * * * *"), TEMPLATE, origin())

    assert (schedule.is_paused, schedule.next_at) == (True, None)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(BadCron):
        made("0 0 30 2 *")
    with pytest.raises(UnknownZone):
        made(zone="Mars/Olympus")
    schedule = made()
    with pytest.raises(ScheduleIsActive):
        schedule.resume(origin())
    schedule.pause(origin())
    with pytest.raises(ScheduleIsPaused):
        schedule.pause(origin())


def test_files_of_a_schedule_are_in_its_facts_and_stay_through_changes() -> None:
    file = FileRef(SealedText("s1.a"), "text/plain", 4, "ab" * 32, f"acme/{uuid7()}")
    template = Template("checksum", SealedText("s1.options"), inputs=(file, file))
    schedule = Schedule.create(uuid7(), NAME, Plan("0 * * * *"), template, origin())

    schedule.change(NAME, Plan("30 * * * *"), schedule.template, origin())

    assert schedule.template == template
    for fact in schedule.pending_events:
        assert isinstance(fact, facts.ScheduleCreated | facts.ScheduleChanged)
        assert fact.template["inputs"] == [file.as_json()] * 2
    assert Template.from_json(template.as_json()) == template


def test_a_template_without_files_is_written_as_it_was_before_there_were_any() -> None:
    assert "inputs" not in TEMPLATE.as_json()
    assert Template.from_json(TEMPLATE.as_json()) == TEMPLATE


def test_nothing_happens_to_what_is_deleted() -> None:
    schedule = made()
    schedule.delete(origin())

    for act in (schedule.pause, schedule.resume, schedule.delete):
        with pytest.raises(ScheduleNotFound):
            act(origin())
    with pytest.raises(ScheduleNotFound):
        schedule.fire_now(uuid7(), origin())
    assert fired(schedule, NOON + timedelta(days=1)) == []


class AnyPlan(RuleBasedStateMachine):
    """Time goes on, clocks come late, people pause and change: each time gets at most one job."""

    @initialize(
        cron=st.sampled_from(["* * * * *", "*/7 * * * *", "30 2 * * *", "0 */3 * * *"]),
        zone=st.sampled_from(["UTC", "Europe/Vienna", "Australia/Lord_Howe"]),
        missed=st.sampled_from(list(Missed)),
        start=st.sampled_from([SPRING, AUTUMN]),
    )
    def create(self, cron: str, zone: str, missed: Missed, start: datetime) -> None:
        self.now = start
        plan = Plan(cron, zone, missed)
        self.schedule = Schedule.create(uuid7(), NAME, plan, TEMPLATE, at(self.now))
        self.taken: list[datetime] = []

    @rule(minutes=st.integers(0, 400), seconds=st.integers(0, 59))
    def look_later(self, minutes: int, seconds: int) -> None:
        self.now += timedelta(minutes=minutes, seconds=seconds)
        found = fired(self.schedule, self.now)
        assert all(tick <= self.now for tick in found)
        self.taken += found

    @rule(minutes=st.integers(0, 400))
    def look_when_no_job_can_be_made(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        try:
            self.schedule.forgo("TOOL_NOT_FOUND", at(self.now))
        except ScheduleNotDue:
            return
        assert fired(self.schedule, self.now) == []

    @rule(what=st.sampled_from(["pause", "resume", "fire_now"]))
    def steer(self, what: str) -> None:
        before = self.schedule.version
        try:
            if what == "fire_now":
                self.schedule.fire_now(uuid7(), at(self.now))
            else:
                getattr(self.schedule, what)(at(self.now))
        except DomainError:
            assert self.schedule.version == before, "a refusal must leave no trace"

    @rule(cron=st.sampled_from(["* * * * *", "*/11 * * * *"]))
    def change(self, cron: str) -> None:
        plan = Plan(cron, self.schedule.plan.zone, self.schedule.plan.missed)
        self.schedule.change(NAME, plan, TEMPLATE, at(self.now))

    @invariant()
    def each_time_once_and_in_order(self) -> None:
        if hasattr(self, "taken"):
            assert self.taken == sorted(set(self.taken))

    @invariant()
    def what_comes_next_is_the_plans_next_time(self) -> None:
        if not hasattr(self, "schedule") or self.schedule.next_at is None:
            return
        plan = self.schedule.plan
        assert self.schedule.next_at > self.now - timedelta(seconds=1) or not self.taken
        earlier = self.schedule.next_at - timedelta(seconds=1)
        assert Timetable(plan.cron, plan.zone).next_after(earlier) == self.schedule.next_at

    @invariant()
    def the_history_alone_makes_the_schedule(self) -> None:
        if not hasattr(self, "schedule"):
            return
        codec, folded = Codec(), None
        for fact in self.schedule.pending_events:
            folded = codec.to_domain_event(codec.to_stored_event(fact)).mutate(folded)
        ours = {k: v for k, v in vars(self.schedule).items() if k != "_pending_events"}
        theirs = {k: v for k, v in vars(folded).items() if k != "_pending_events"}
        assert theirs == ours


AnyPlan.TestCase.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
TestAnyPlan = AnyPlan.TestCase
