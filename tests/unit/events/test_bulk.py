"""The rules of bulk operations: which jobs are meant, what is done to each, how they end."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.contracts.bulk import BulkAction, BulkStatus
from events.contracts.values import JobStatus, SealedText
from events.domain.bulk import STATUSES_OF, BulkFilter, BulkOperation, Finding, Tally
from events.domain.errors import BulkIsFinal
from events.domain.job import Failure, Job
from events.store.codec import Codec
from infrastructure.ids import uuid7
from tests.fixtures.events import NOON, job_request, origin, submitted_job

LATER = NOON + timedelta(seconds=1)


def operation(
    action: BulkAction = BulkAction.CANCEL, *, dry_run: bool = False, **wanted: Any
) -> BulkOperation:
    fields = {"statuses": tuple(STATUSES_OF[action])} | wanted
    request = BulkFilter(**fields)
    return BulkOperation.request(uuid7(), action, request, None, origin(at=LATER), dry_run=dry_run)


def failed_job(**changes: Any) -> Job:
    job = submitted_job(**changes)
    lease = job.start_attempt("worker:1", "L1", origin())
    job.fail(lease, Failure("CORRUPT_FILE", SealedText(""), permanent=True), 1, {}, 0.5, origin())
    return job


@pytest.mark.parametrize(
    ("wanted", "is_meant"),
    [
        ({}, True),
        ({"tool": "no-op"}, True),
        ({"tool": "checksum"}, False),
        ({"queue": "default"}, True),
        ({"queue": "other"}, False),
        ({"owner": "user:1"}, True),
        ({"owner": "user:2"}, False),
        ({"label_tokens": ("a",)}, True),
        ({"label_tokens": ("a", "c")}, False),
        ({"created_after": NOON - timedelta(seconds=1)}, True),
        ({"created_after": NOON}, False),
        ({"created_before": LATER}, True),
        ({"created_before": NOON}, False),
    ],
)
def test_a_job_is_meant_if_it_meets_every_condition(wanted: Any, is_meant: bool) -> None:
    job = submitted_job(label_tokens=("a", "b"))

    finding = operation(**wanted).deal_with(job, origin())

    assert finding is (Finding.MATCHED if is_meant else Finding.NOT_MEANT)
    assert (job.status is JobStatus.CANCELLED) == is_meant


def test_a_job_that_came_after_the_request_is_not_meant() -> None:
    job = Job.submit(uuid7(), job_request(), origin(at=LATER + timedelta(seconds=1)))

    assert operation().deal_with(job, origin()) is Finding.NOT_MEANT


def test_a_job_of_another_tenant_is_not_meant() -> None:
    job = Job.submit(uuid7(), job_request(), origin(tenant="globex"))

    assert operation().deal_with(job, origin()) is Finding.NOT_MEANT


def test_a_job_that_has_moved_on_is_skipped() -> None:
    job = submitted_job()
    job.cancel(origin())

    assert operation().deal_with(job, origin()) is Finding.SKIPPED


def test_a_retry_reopens_jobs_with_the_code_that_was_named() -> None:
    bulk = operation(BulkAction.RETRY, error_code="CORRUPT_FILE")
    other = operation(BulkAction.RETRY, error_code="TOOL_TIMEOUT")
    job = failed_job()

    assert other.deal_with(job, origin()) is Finding.SKIPPED
    assert bulk.deal_with(job, origin()) is Finding.MATCHED
    assert job.status is JobStatus.QUEUED


def test_a_dry_run_changes_nothing() -> None:
    job = submitted_job()
    job.collect_events()

    assert operation(dry_run=True).deal_with(job, origin()) is Finding.MATCHED
    assert job.pending_events == []


def test_an_operation_ends_once_and_says_how() -> None:
    finished, cancelled = operation(), operation()
    finished.finish(Tally(matched=2, changed=2, skipped=1), origin())
    cancelled.cancel(origin())

    assert (finished.status, finished.changed) == (BulkStatus.FINISHED, 2)
    for bulk in (finished, cancelled):
        for act in (
            lambda b: b.cancel(origin()),
            lambda b: b.finish(Tally(), origin()),
            lambda b: b.progress(Tally(), origin()),
        ):
            with pytest.raises(BulkIsFinal) as refused:
                act(bulk)
            assert refused.value.details == {"status": bulk.status}


@given(
    statuses=st.sets(st.sampled_from(JobStatus), min_size=1),
    texts=st.tuples(*[st.none() | st.text(max_size=9)] * 4),
    tokens=st.lists(st.text(max_size=9), max_size=3),
    moments=st.tuples(*[st.none() | st.just(NOON)] * 2),
)
def test_a_filter_is_read_back_as_it_was_written(
    statuses: Any, texts: Any, tokens: Any, moments: Any
) -> None:
    wanted = BulkFilter(tuple(sorted(statuses)), *texts, tuple(tokens), *moments)

    assert BulkFilter.from_json(wanted.as_json()) == wanted


def test_the_history_alone_makes_the_operation() -> None:
    bulk = operation(tool="no-op")
    bulk.progress(Tally(uuid7(), 3, 2, 1), origin())
    bulk.finish(Tally(matched=5, changed=4, skipped=1), origin())
    codec, folded = Codec(), None
    for fact in bulk.pending_events:
        folded = codec.to_domain_event(codec.to_stored_event(fact)).mutate(folded)  # type: ignore

    theirs = {k: v for k, v in vars(folded).items() if k != "_pending_events"}
    assert theirs == {k: v for k, v in vars(bulk).items() if k != "_pending_events"}
