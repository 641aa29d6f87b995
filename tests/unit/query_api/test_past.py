"""A job as it was; at its newest version it is the read model's row."""

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.contracts.envelope import RecordedEvent
from events.contracts.job import JobSubmitted
from events.contracts.values import FileRef, JobStatus, SealedText
from events.domain.errors import DomainError
from events.domain.job import Failure, Job
from projectors.projections.job import FOLDS, submitted
from query_api.errors import PastNotFound
from query_api.past import Moment, folded, job_at
from query_api.queries.jobs import JobRow
from tests.fixtures.events import NOON, origin, submitted_job

OUTPUT = FileRef(SealedText("s1.name"), "image/webp", 10, "ab" * 32, "acme/blob")
WEEK = timedelta(days=8)


def at(minutes: int) -> Any:
    return origin(at=NOON + timedelta(minutes=minutes))


def fail(job: Job, minutes: int, *, permanent: bool) -> None:
    failure = Failure("TOOL_CRASHED", SealedText("s1.message"), permanent=permanent)
    job.fail(job.lease, failure, 5, {}, 0.5, at(minutes))


STEPS: list[Callable[[Job, int], object]] = [
    lambda job, minutes: job.start_attempt("worker:1", "L1", at(minutes)),
    lambda job, minutes: job.succeed(job.lease, [OUTPUT], 7, {}, at(minutes)),
    lambda job, minutes: fail(job, minutes, permanent=True),
    lambda job, minutes: fail(job, minutes, permanent=False),
    lambda job, minutes: job.expire_attempt(job.lease, at(minutes)),
    lambda job, minutes: job.hand_back(job.lease, at(minutes)),
    lambda job, minutes: job.become_due(at(minutes)),
    lambda job, minutes: job.cancel(at(minutes)),
    lambda job, minutes: job.reopen(at(minutes)),
    lambda job, minutes: job.refuse_outcome(1, "failed", "worker:0", at(minutes)),
    lambda job, minutes: job.expire_result(origin(at=NOON + WEEK)),
]


def life(steps: list[int], *, later: bool = False, attempts_max: int = 2) -> list[RecordedEvent]:
    """The history of a job that took these of the STEPS that its rules allowed."""
    run_at = NOON + timedelta(hours=1) if later else None
    job = submitted_job(run_at=run_at, attempts_max=attempts_max)
    for minutes, number in enumerate(steps, 1):
        try:
            STEPS[number](job, minutes)
        except DomainError:
            continue
    return [
        RecordedEvent(10 + place, fact, NOON + timedelta(seconds=place))  # type: ignore[arg-type]
        for place, fact in enumerate(job.pending_events)
    ]


@given(st.lists(st.integers(0, len(STEPS) - 1), max_size=20), st.booleans(), st.integers(1, 3))
def test_every_version_of_every_life_is_the_read_models_row(
    steps: list[int], later: bool, attempts_max: int
) -> None:
    history = life(steps, later=later, attempts_max=attempts_max)
    row = None
    for event in history:
        if isinstance(event.fact, JobSubmitted):
            row = submitted(event.fact, event.position)
        else:
            assert row is not None
            FOLDS[type(event.fact)](row, event.fact)
            row.version, row.position = event.version, event.position
        past = job_at(history, Moment(version=event.version))

        for field in fields(JobRow):
            if field.name == "secret_options":
                continue
            expected = getattr(row, field.name)
            if field.name in ("inputs", "outputs"):
                expected = orjson.loads(expected)
            assert getattr(past, field.name) == expected, field.name


def test_a_time_shows_what_was_recorded_by_then() -> None:
    history = life([0, 1])

    def status(seconds: float) -> str:
        return job_at(history, Moment(time=NOON + timedelta(seconds=seconds))).status

    assert [status(0), status(1.5), status(99)] == [
        JobStatus.QUEUED,
        JobStatus.RUNNING,
        JobStatus.SUCCEEDED,
    ]


@pytest.mark.parametrize(
    "moment",
    [Moment(version=0), Moment(version=4), Moment(time=NOON - timedelta(seconds=1))],
)
def test_there_is_no_job_before_its_first_or_after_its_last_event(moment: Moment) -> None:
    with pytest.raises(PastNotFound):
        job_at(life([0, 1]), moment)


def test_no_events_make_no_job() -> None:
    assert folded([]) is None


def test_a_moment_is_a_version_or_a_time() -> None:
    assert Moment.parse("3") == Moment(version=3)
    assert Moment.parse("2026-11-23T12:00:00Z") == Moment(
        time=datetime(2026, 11, 23, 12, tzinfo=UTC)
    )
    assert Moment.parse("2026-11-23T13:00:00+01:00").time == NOON


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "2026-11-23", "2026-11-23T12:00:00", "9" * 19, "³"]
)
def test_anything_else_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Moment.parse(text)
