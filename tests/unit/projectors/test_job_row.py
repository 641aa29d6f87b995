"""Given facts of a job, then its row; and the row never says anything else than the aggregate."""

from dataclasses import fields
from datetime import timedelta

import pytest

from events.contracts.fact import AnyFact
from events.contracts.values import SealedText
from events.domain.job import Failure, Job
from projectors.group import Group
from projectors.projections.job import CHANGING, JobRow
from projectors.projections.schedule_summary import ScheduleRow
from projectors.projections.tool_catalogue import ToolRow
from projectors.read_models.job_summary import job_summary
from projectors.read_models.schedule_summary import schedule_summary
from projectors.read_models.tool_catalogue import tool_catalogue
from tests.factories.histories import Histories, facts_of, recorded
from tests.fixtures.events import NOON, origin, submitted_job

FOLLOWED = (
    *("tenant", "owner", "tool", "tool_version", "queue", "priority", "status", "attempt"),
    *("attempts_max", "lease", "worker", "options", "error_code", "error_message"),
    *("correlation_id", "due_at", "expires_at", "result_expired", "timeout_seconds", "version"),
)


def given(facts: list[AnyFact]) -> JobRow:
    """The row that a job's facts make."""
    group = Group()
    group.fold(group.decode(recorded(facts)))
    return group.all_rows[0].get(facts[0].originator_id)  # type: ignore[attr-defined, no-any-return]


def running_job(**changes: object) -> Job:
    job = submitted_job(**changes)
    job.start_attempt("worker:1", "process", origin(at=NOON + timedelta(seconds=1)))
    return job


@pytest.mark.parametrize("seed", range(40))
def test_the_row_says_what_the_aggregate_says(seed: int) -> None:
    histories = Histories(seed)
    job = histories.submit()
    facts = facts_of(job)
    for _ in range(12):
        histories.step(job)
        facts += facts_of(job)

        row = given(facts)

        assert {name: getattr(row, name) for name in FOLLOWED} == {
            name: getattr(job, name) for name in FOLLOWED
        }


def test_a_row_has_the_columns_of_its_table_in_their_order() -> None:
    assert [field.name for field in fields(JobRow)] == [column.name for column in job_summary.c]
    assert [field.name for field in fields(ToolRow)] == [column.name for column in tool_catalogue.c]
    columns = [column.name for column in schedule_summary.c]
    assert [field.name for field in fields(ScheduleRow)] == columns


def test_whatever_changes_after_the_submission_is_written() -> None:
    changed: set[str] = set()
    for seed in range(40):
        histories = Histories(seed)
        job = histories.submit()
        facts = facts_of(job)
        first = given(facts)
        for _ in range(12):
            histories.step(job)
            facts += facts_of(job)
            row = given(facts)
            changed |= {
                field.name
                for field in fields(JobRow)
                if getattr(row, field.name) != getattr(first, field.name)
            }

    assert changed == set(CHANGING)


def test_a_job_is_queued_when_it_is_submitted() -> None:
    row = given(facts_of(submitted_job()))

    assert (row.status, row.created_at, row.queued_at) == ("queued", NOON, NOON)
    assert row.label_tokens is None


def test_a_job_for_later_is_queued_when_it_is_due() -> None:
    job = submitted_job(run_at=NOON + timedelta(hours=1))
    facts = facts_of(job)
    scheduled = given(facts)
    job.become_due(origin(at=NOON + timedelta(hours=1, seconds=3)))

    due = given([*facts, *facts_of(job)])

    assert (scheduled.status, scheduled.queued_at) == ("scheduled", None)
    assert scheduled.due_at == NOON + timedelta(hours=1)
    assert (due.status, due.due_at) == ("queued", None)
    assert due.queued_at == NOON + timedelta(hours=1, seconds=3)


def test_a_success_shows_outputs_times_and_duration() -> None:
    job = running_job(retention_seconds=60)
    done = NOON + timedelta(seconds=9)
    job.succeed(job.lease, [Histories().file()], 8_000, {}, origin(at=done))

    row = given(facts_of(job))

    assert (row.status, row.finished_at, row.duration_ms) == ("succeeded", done, 8_000)
    assert row.expires_at == done + timedelta(seconds=60)
    assert '"blob_key"' in row.outputs


def test_a_failure_that_is_tried_again_is_not_finished() -> None:
    job = running_job()
    failure = Failure("TIMEOUT", SealedText("s1.late"), permanent=False)
    job.fail(job.lease, failure, 50, {}, 0.5, origin(at=NOON + timedelta(seconds=2)))

    row = given(facts_of(job))

    assert (row.status, row.error_code, row.error_message) == ("retrying", "TIMEOUT", "s1.late")
    assert row.finished_at is None
    assert row.due_at is not None


def test_a_silent_worker_on_the_last_attempt_fails_the_job() -> None:
    job = running_job(attempts_max=1)
    job.expire_attempt(job.lease, origin(at=NOON + timedelta(seconds=30)))

    row = given(facts_of(job))

    assert (row.status, row.error_code) == ("failed", "WORKER_LOST")
    assert row.finished_at == NOON + timedelta(seconds=30)


def test_a_reopened_job_has_nothing_left_of_its_end() -> None:
    job = running_job()
    failure = Failure("BAD_FILE", SealedText("s1.bad"), permanent=True)
    job.fail(job.lease, failure, 50, {}, 0.5, origin())
    job.reopen(origin(at=NOON + timedelta(days=1)))

    row = given(facts_of(job))

    assert (row.status, row.attempt, row.queued_at) == ("queued", 0, NOON + timedelta(days=1))
    assert (row.finished_at, row.duration_ms, row.error_code) == (None, None, None)
