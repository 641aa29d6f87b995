"""The job's rules: by example where a rule has a story, by random walks where it must hold."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from events.contracts import job as facts
from events.contracts.values import FileRef, JobStatus, SealedText
from events.domain.errors import (
    DomainError,
    JobIsFinal,
    JobIsNotFinal,
    JobMayWait,
    JobNotClaimable,
    JobNotDue,
    JobOfWorkflow,
    ResultNotExpirable,
    StaleLease,
)
from events.domain.job import QUEUE_TIMEOUT, WORKER_LOST, Failure, Job
from events.domain.result_index import has_result
from events.store.codec import Codec
from infrastructure.ids import uuid7
from tests.fixtures.events import NOON, origin, submitted_job

AGGREGATE = UUID(int=7)
OUTPUT = FileRef(SealedText("s1.name"), "image/webp", 10, "ab" * 32, "acme/blob")
TRANSIENT = Failure("WORKER_BUSY", SealedText("s1.message"), permanent=False)
PERMANENT = Failure("CORRUPT_FILE", SealedText("s1.message"), permanent=True)


def running_job(**changes: Any) -> tuple[Job, int]:
    job = submitted_job(**changes)
    return job, job.start_attempt("worker:1", "L1", origin())


def succeed(job: Job, lease: int) -> None:
    job.succeed(lease, [OUTPUT], 5, {}, origin())


def fail(job: Job, lease: int, failure: Failure) -> None:
    job.fail(lease, failure, 5, {}, 0.5, origin())


def test_a_submitted_job_is_queued() -> None:
    assert submitted_job().status is JobStatus.QUEUED


def test_a_job_with_a_later_time_is_scheduled_until_it_is_due() -> None:
    job = submitted_job(run_at=NOON + timedelta(hours=1))

    assert (job.status, job.due_at) == (JobStatus.SCHEDULED, NOON + timedelta(hours=1))
    with pytest.raises(JobNotClaimable):
        job.start_attempt("worker:1", "L1", origin())
    job.become_due(origin())
    assert job.status is JobStatus.QUEUED


def test_a_time_in_the_past_queues_at_once() -> None:
    assert submitted_job(run_at=NOON - timedelta(hours=1)).status is JobStatus.QUEUED


def test_a_claimed_job_cannot_be_claimed_again() -> None:
    job, _ = running_job()

    with pytest.raises(JobNotClaimable):
        job.start_attempt("worker:2", "L1", origin())


def test_the_version_that_ran_is_that_of_the_latest_attempt() -> None:
    job = submitted_job(tool_version="1")
    assert job.version_run == "1"

    lease = job.start_attempt("worker:1", "L1", origin(), "2")
    assert (job.tool_version, job.version_run) == ("1", "2")
    assert job.pending_events[-1].tool_version == "2"  # type: ignore[attr-defined]
    job.hand_back(lease, origin())
    job.start_attempt("worker:2", "L1", origin(), "1")

    assert job.version_run == "1"
    assert job.pending_events[-1].tool_version is None  # type: ignore[attr-defined]


def test_what_another_version_made_is_not_for_others() -> None:
    results = []
    for version in ("1", "2"):
        job = submitted_job(tool_version="1", retention_seconds=60)
        succeed(job, job.start_attempt("worker:1", "L1", origin(), version))
        results.append(has_result(job, NOON))

    assert results == [True, False]


def test_success_keeps_the_outputs_until_their_retention_ends() -> None:
    job, lease = running_job(retention_seconds=60)

    succeed(job, lease)

    assert (job.status, job.outputs) == (JobStatus.SUCCEEDED, [OUTPUT])
    assert job.expires_at == NOON + timedelta(seconds=60)


def test_a_stale_lease_cannot_complete_an_attempt() -> None:
    job, old = running_job()
    job.expire_attempt(old, origin())
    new = job.start_attempt("worker:2", "L1", origin())

    with pytest.raises(StaleLease):
        succeed(job, old)
    succeed(job, new)
    with pytest.raises(StaleLease):
        succeed(job, new)
    assert job.status is JobStatus.SUCCEEDED


def test_a_refused_outcome_is_on_record_and_changes_nothing() -> None:
    job, lease = running_job()
    job.cancel(origin())

    job.refuse_outcome(lease, "succeeded", "worker:1", origin())

    assert job.status is JobStatus.CANCELLED
    assert isinstance(job.pending_events[-1], facts.OutcomeRefused)


def test_a_transient_failure_is_tried_again_later() -> None:
    job, lease = running_job()

    fail(job, lease, TRANSIENT)

    assert (job.status, job.due_at) == (JobStatus.RETRYING, NOON + timedelta(seconds=2))


def test_a_permanent_failure_ends_the_job() -> None:
    job, lease = running_job()

    fail(job, lease, PERMANENT)

    assert (job.status, job.error_code) == (JobStatus.FAILED, "CORRUPT_FILE")


def test_the_last_attempt_ends_the_job() -> None:
    job, lease = running_job(attempts_max=1)

    fail(job, lease, TRANSIENT)

    assert job.status is JobStatus.FAILED


def test_a_lost_worker_requeues_until_the_attempts_are_used_up() -> None:
    job, lease = running_job(attempts_max=2)

    job.expire_attempt(lease, origin())
    assert job.status is JobStatus.QUEUED
    job.expire_attempt(job.start_attempt("worker:2", "L1", origin()), origin())

    assert (job.status, job.error_code) == (JobStatus.FAILED, WORKER_LOST)


def test_handing_back_burns_no_attempt() -> None:
    job, lease = running_job()

    job.hand_back(lease, origin())

    assert (job.status, job.attempt, job.lease) == (JobStatus.QUEUED, 0, 1)


@pytest.mark.parametrize("end", [succeed, lambda job, lease: fail(job, lease, PERMANENT)])
def test_a_finished_job_cannot_be_cancelled(end: Any) -> None:
    job, lease = running_job()
    end(job, lease)

    with pytest.raises(JobIsFinal):
        job.cancel(origin())


def test_a_failed_or_cancelled_job_is_reopened_with_fresh_attempts() -> None:
    failed, lease = running_job(attempts_max=1)
    fail(failed, lease, TRANSIENT)
    cancelled = submitted_job()
    cancelled.cancel(origin())

    for job in (failed, cancelled):
        job.reopen(origin())
        assert (job.status, job.attempt, job.error_code) == (JobStatus.QUEUED, 0, None)


def test_only_an_unsuccessful_end_can_be_reopened() -> None:
    job, lease = running_job()

    with pytest.raises(JobIsNotFinal):
        job.reopen(origin())
    succeed(job, lease)
    with pytest.raises(JobIsFinal):
        job.reopen(origin())


def test_a_job_of_a_workflow_is_for_its_workflow_to_try_again() -> None:
    workflow = uuid7()
    job = submitted_job(workflow=workflow, step="a")
    with pytest.raises(JobIsNotFinal):
        job.reopen(origin())
    job.cancel(origin())

    with pytest.raises(JobOfWorkflow) as refused:
        job.reopen(origin())
    details = {"workflow_id": str(workflow), "status": JobStatus.CANCELLED}
    assert (refused.value.code, refused.value.details) == ("JOB_OF_WORKFLOW", details)


def seconds_later(seconds: float) -> Any:
    return origin(at=NOON + timedelta(seconds=seconds))


def test_a_job_that_nobody_starts_in_time_has_failed() -> None:
    job = submitted_job(queue_seconds_max=60.0)

    with pytest.raises(JobMayWait):
        job.expire_wait(seconds_later(59))
    job.expire_wait(seconds_later(60))

    assert (job.status, job.error_code) == (JobStatus.FAILED, QUEUE_TIMEOUT)


def test_a_wait_begins_when_a_scheduled_job_is_due() -> None:
    job = submitted_job(queue_seconds_max=60.0, run_at=NOON + timedelta(seconds=100))
    with pytest.raises(JobMayWait):
        job.expire_wait(seconds_later(1_000))
    job.become_due(seconds_later(110))

    with pytest.raises(JobMayWait):
        job.expire_wait(seconds_later(169))
    job.expire_wait(seconds_later(170))


def test_a_job_that_was_started_once_may_wait() -> None:
    job, lease = running_job(queue_seconds_max=60.0)
    job.hand_back(lease, origin())

    with pytest.raises(JobMayWait):
        job.expire_wait(seconds_later(1_000))


def test_a_job_without_a_limit_may_wait_for_ever() -> None:
    with pytest.raises(JobMayWait):
        submitted_job().expire_wait(seconds_later(10**9))


def test_a_job_that_is_reopened_waits_anew() -> None:
    job = submitted_job(queue_seconds_max=60.0)
    job.expire_wait(seconds_later(60))
    job.reopen(seconds_later(100))

    with pytest.raises(JobMayWait):
        job.expire_wait(seconds_later(159))
    job.expire_wait(seconds_later(160))


def test_patience_is_the_jobs_own() -> None:
    retry = {"first_seconds": 10.0, "factor": 3.0, "jitter": 0.0}
    job, lease = running_job(retry=retry)

    fail(job, lease, TRANSIENT)
    assert job.due_at == NOON + timedelta(seconds=10)
    job.become_due(origin())
    fail(job, job.start_attempt("worker:1", "L1", origin()), TRANSIENT)

    assert job.due_at == NOON + timedelta(seconds=30)


def test_the_budget_ends_the_attempts_however_many_are_left() -> None:
    job, lease = running_job(retry={"budget_seconds": 5.0, "jitter": 0.0}, attempts_max=100)

    job.fail(lease, TRANSIENT, 5, {}, 0.5, seconds_later(3))
    assert job.status is JobStatus.RETRYING
    job.become_due(seconds_later(5))
    lease = job.start_attempt("worker:1", "L1", seconds_later(5))
    job.expire_attempt(lease, seconds_later(6))

    assert (job.status, job.error_code) == (JobStatus.FAILED, WORKER_LOST)


def test_a_deploy_costs_neither_an_attempt_nor_the_budget() -> None:
    job, lease = running_job(retry={"budget_seconds": 5.0}, attempts_max=1)

    for second in range(1, 20):
        job.hand_back(lease, seconds_later(second))
        assert (job.status, job.attempt) == (JobStatus.QUEUED, 0)
        lease = job.start_attempt("worker:2", "L1", seconds_later(second))


def test_a_job_may_succeed_without_a_run() -> None:
    job = submitted_job(retention_seconds=60)

    job.reuse(AGGREGATE, [OUTPUT], origin())

    assert (job.status, job.outputs, job.attempt) == (JobStatus.SUCCEEDED, [OUTPUT], 0)
    assert job.expires_at == NOON + timedelta(seconds=60)
    with pytest.raises(JobNotClaimable):
        job.start_attempt("worker:1", "L1", origin())


def test_only_a_job_that_nobody_started_may_do_without_a_run() -> None:
    job, lease = running_job()
    job.hand_back(lease, origin())

    with pytest.raises(JobNotClaimable):
        job.reuse(AGGREGATE, [OUTPUT], origin())


def test_only_a_waiting_job_becomes_due() -> None:
    with pytest.raises(JobNotDue):
        submitted_job().become_due(origin())


def test_a_result_expires_once_and_not_before_its_time() -> None:
    job, lease = running_job(retention_seconds=60)
    succeed(job, lease)

    with pytest.raises(ResultNotExpirable):
        job.expire_result(origin(at=NOON + timedelta(seconds=59)))
    assert job.expire_result(origin(at=NOON + timedelta(seconds=60))) == ["acme/blob"]
    with pytest.raises(ResultNotExpirable):
        job.expire_result(origin(at=NOON + timedelta(seconds=61)))


ENDS = (facts.AttemptSucceeded, facts.ResultReused, facts.JobCancelled, facts.JobWaitExpired)


class AnyLife(RuleBasedStateMachine):
    """Whatever is asked of a job, in whatever order: refused or done, the promises hold."""

    @initialize(attempts_max=st.integers(1, 4), later=st.booleans(), waits=st.booleans())
    def submit(self, attempts_max: int, later: bool, waits: bool) -> None:
        self.job = submitted_job(
            attempts_max=attempts_max,
            run_at=NOON + timedelta(hours=1) if later else None,
            queue_seconds_max=10.0 if waits else None,
        )
        self.leases = [0]
        self.attempts = [0]

    def attempt(self, decide: Any) -> None:
        before = self.job.version
        try:
            decide()
        except DomainError:
            assert self.job.version == before, "a refusal must leave no trace"

    @rule()
    def claim(self) -> None:
        lease, attempt, version = self.job.lease, self.job.attempt, self.job.version
        self.attempt(lambda: self.job.start_attempt("worker", "L1", origin()))
        if self.job.version > version:
            assert (self.job.lease, self.job.attempt) == (lease + 1, attempt + 1)

    @rule(back=st.integers(0, 2), success=st.booleans(), permanent=st.booleans())
    def report(self, back: int, success: bool, permanent: bool) -> None:
        lease = self.job.lease - back
        failure = PERMANENT if permanent else TRANSIENT
        counted = self.job.holds(lease)
        before = self.job.version
        if success:
            self.attempt(lambda: succeed(self.job, lease))
        else:
            self.attempt(lambda: fail(self.job, lease, failure))
        assert (self.job.version > before) == counted

    @rule(back=st.integers(0, 2))
    def expire(self, back: int) -> None:
        self.under_a_lease(back, lambda lease: self.job.expire_attempt(lease, origin()))

    @rule(back=st.integers(0, 2))
    def hand_back(self, back: int) -> None:
        self.under_a_lease(back, lambda lease: self.job.hand_back(lease, origin()))

    def under_a_lease(self, back: int, decide: Any) -> None:
        """Whatever is said under a lease counts if that is the one that is held, and else not."""
        lease, before = self.job.lease - back, self.job.version
        counted = self.job.holds(lease)
        self.attempt(lambda: decide(lease))
        assert (self.job.version > before) == counted

    @rule(back=st.integers(0, 2))
    def refuse(self, back: int) -> None:
        told = (self.job.status, self.job.lease, self.job.attempt, self.job.error_code)
        self.job.refuse_outcome(self.job.lease - back, "succeeded", "worker", origin())
        assert (self.job.status, self.job.lease, self.job.attempt, self.job.error_code) == told

    @rule(days=st.integers(0, 30))
    def expire_result(self, days: int) -> None:
        self.attempt(lambda: self.job.expire_result(origin(at=NOON + timedelta(days=days))))

    @rule()
    def due(self) -> None:
        self.attempt(lambda: self.job.become_due(origin()))

    @rule(seconds=st.integers(0, 20))
    def expire_wait(self, seconds: int) -> None:
        self.attempt(lambda: self.job.expire_wait(seconds_later(seconds)))

    @rule()
    def reuse(self) -> None:
        self.attempt(lambda: self.job.reuse(AGGREGATE, [OUTPUT], origin()))

    @rule()
    def cancel(self) -> None:
        self.attempt(lambda: self.job.cancel(origin()))

    @rule()
    def reopen(self) -> None:
        self.attempt(lambda: self.job.reopen(origin()))

    @invariant()
    def leases_only_grow_and_attempts_have_a_limit(self) -> None:
        if not hasattr(self, "job"):
            return
        assert self.job.lease >= self.leases[-1]
        self.leases.append(self.job.lease)
        assert 0 <= self.job.attempt <= self.job.attempts_max
        fallen = self.job.attempt < self.attempts[-1]
        self.attempts.append(self.job.attempt)
        # Only what does not count takes an attempt back, and only a person begins anew.
        last = self.job.pending_events[-1]
        assert not fallen or isinstance(last, facts.AttemptHandedBack | facts.JobReopened)

    @invariant()
    def one_outcome_at_a_time(self) -> None:
        if not hasattr(self, "job"):
            return
        ended = False
        for fact in self.job.pending_events:
            if isinstance(fact, facts.JobReopened):
                assert ended
                ended = False
                continue
            if isinstance(fact, facts.OutcomeRefused):
                continue
            if isinstance(fact, facts.JobResultExpired):
                assert ended
                continue
            assert not ended, "but a reopening, an expiry and refusals nothing follows an end"
            ended = (
                isinstance(fact, ENDS)
                or (isinstance(fact, facts.AttemptFailed) and fact.retry_at is None)
                or (isinstance(fact, facts.AttemptExpired) and not fact.requeued)
            )
        assert ended == self.job.status.is_final

    @invariant()
    def the_history_alone_makes_the_job(self) -> None:
        if not hasattr(self, "job"):
            return
        codec = Codec()
        folded: Any = None
        for fact in self.job.pending_events:
            folded = codec.to_domain_event(codec.to_stored_event(fact)).mutate(folded)
        ours = {k: v for k, v in vars(self.job).items() if k != "_pending_events"}
        theirs = {k: v for k, v in vars(folded).items() if k != "_pending_events"}
        assert theirs == ours


AnyLife.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestAnyLife = AnyLife.TestCase
