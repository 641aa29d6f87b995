"""One job at a time holds a key, whatever is asked of whom in whatever order."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from events.contracts.reservation import reservation_id
from events.domain.errors import DomainError
from events.domain.job import Job
from events.domain.reservation import Hold, Reservation, Scope, Until
from tests.fixtures.events import NOON, origin, submitted_job

KEY = reservation_id("acme", "tool", "no-op", "token")


def held(until: Until = Until.FINISHED, seconds: float | None = None) -> tuple[Reservation, Job]:
    job = submitted_job()
    hold = Hold(job.id, until, seconds)
    return Reservation.reserve(KEY, Scope.TOOL, hold, origin()), job


def test_a_key_has_one_id_in_its_scope_and_another_elsewhere() -> None:
    same = reservation_id("acme", "tool", "no-op", "token")
    others = {
        reservation_id("globex", "tool", "no-op", "token"),
        reservation_id("acme", "queue", "no-op", "token"),
        reservation_id("acme", "tool", "checksum", "token"),
        reservation_id("acme", "tool", "no-op", "other"),
    }

    assert same == KEY
    assert len(others - {KEY}) == 4


def test_a_job_holds_its_key_until_it_has_finished() -> None:
    reservation, job = held()
    lease = job.start_attempt("worker:1", "L1", origin())

    assert reservation.is_held_by(job, NOON)
    job.succeed(lease, [], 1, {}, origin())
    assert not reservation.is_held_by(job, NOON)


def test_a_job_may_let_go_as_soon_as_it_starts() -> None:
    reservation, job = held(Until.STARTED)

    assert reservation.is_held_by(job, NOON)
    lease = job.start_attempt("worker:1", "L1", origin())
    assert not reservation.is_held_by(job, NOON)
    job.hand_back(lease, origin())
    assert not reservation.is_held_by(job, NOON)


def test_a_key_may_be_held_for_a_time_whatever_becomes_of_the_job() -> None:
    reservation, job = held(Until.TIME, 60.0)
    job.cancel(origin())

    assert reservation.is_held_by(job, NOON + timedelta(seconds=59))
    assert not reservation.is_held_by(job, NOON + timedelta(seconds=60))


def test_who_lost_the_key_does_not_hold_it() -> None:
    reservation, first = held()
    reservation.take_over(Hold(submitted_job().id, Until.FINISHED), origin())

    assert not reservation.is_held_by(first, NOON)


class ManyWantOneKey(RuleBasedStateMachine):
    """Jobs come, go on, end and come back; never do two that run hold the key."""

    def __init__(self) -> None:
        super().__init__()
        self.reservation: Reservation | None = None
        self.jobs: dict[UUID, Job] = {}

    def holder(self) -> Job | None:
        if self.reservation is None:
            return None
        job = self.jobs[self.reservation.holder]
        return job if self.reservation.is_held_by(job, NOON) else None

    @rule()
    def submit(self) -> None:
        if self.holder() is not None:
            return
        job = submitted_job()
        hold = Hold(job.id, Until.FINISHED)
        self.jobs[job.id] = job
        if self.reservation is None:
            self.reservation = Reservation.reserve(KEY, Scope.TOOL, hold, origin())
        else:
            self.reservation.take_over(hold, origin())

    @rule(data=st.data())
    def reopen(self, data: Any) -> None:
        ended = [job.id for job in self.jobs.values() if job.status.is_final]
        if not ended or self.reservation is None or self.holder() is not None:
            return
        job = self.jobs[data.draw(st.sampled_from(ended))]
        try:
            job.reopen(origin())
        except DomainError:
            return
        if self.reservation.holder != job.id:
            self.reservation.take_over(Hold(job.id, Until.FINISHED), origin())

    @rule(data=st.data(), what=st.sampled_from(["start", "succeed", "cancel", "hand back"]))
    def go_on(self, data: Any, what: str) -> None:
        if not self.jobs:
            return
        job = self.jobs[data.draw(st.sampled_from(list(self.jobs)))]
        acts = {
            "start": lambda: job.start_attempt("worker:1", "L1", origin()),
            "succeed": lambda: job.succeed(job.lease, [], 1, {}, origin()),
            "cancel": lambda: job.cancel(origin()),
            "hand back": lambda: job.hand_back(job.lease, origin()),
        }
        try:
            acts[what]()
        except DomainError:
            return

    @invariant()
    def one_at_a_time(self) -> None:
        alive = [job.id for job in self.jobs.values() if not job.status.is_final]
        holder = self.holder()
        assert alive == ([] if holder is None else [holder.id])


ManyWantOneKey.TestCase.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
TestManyWantOneKey = ManyWantOneKey.TestCase


@pytest.mark.parametrize("until", list(Until))
def test_a_hold_says_when_it_ends_only_if_that_is_a_matter_of_time(until: Until) -> None:
    seconds = 5.0 if until is Until.TIME else None

    ends = Hold(KEY, until, seconds).expires_at(NOON)

    assert (ends is not None) == (until is Until.TIME)
