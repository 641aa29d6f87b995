"""Tells how a job went, attempt by attempt: what its history adds up to for whoever has to mend it.

A pure fold of the job's timeline; text is still sealed in it and is opened here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from events.contracts import job as facts
from query_api.queries.timeline import EventRow
from query_api.sealed import SealedText
from query_api.views import AttemptView, ErrorView

MESSAGE: Final = "message"
RUNNING: Final = "running"


@dataclass(slots=True)
class _Attempt:
    """What is known of one attempt so far."""

    started: EventRow
    waited_ms: int | None
    tool_version: str | None
    outcome: str = RUNNING
    ended: EventRow | None = None
    is_refused: bool = False


@dataclass(slots=True)
class _Story:
    """The attempts up to some event."""

    queued_at: datetime | None = None
    tool_version: str | None = None
    attempts: list[_Attempt] = field(default_factory=list)


def attempts_of(events: Sequence[EventRow], text: SealedText) -> list[AttemptView]:
    """The attempts that a job's timeline tells of, oldest first."""
    story = _Story()
    for event in events:
        fold = _FOLDS.get(event.topic)
        if fold is not None:
            fold(story, event)
    return [_view(attempt, text) for attempt in story.attempts]


def _submitted(story: _Story, event: EventRow) -> None:
    story.tool_version = event.details["tool_version"]
    _queued(story, event)


def _queued(story: _Story, event: EventRow) -> None:
    story.queued_at = None if event.details.get("run_at") else event.occurred_at


def _started(story: _Story, event: EventRow) -> None:
    waited = None if story.queued_at is None else _milliseconds(story.queued_at, event.occurred_at)
    version = event.details.get("tool_version", story.tool_version)
    story.attempts.append(_Attempt(event, waited, version))


def _ended(outcome: str, *, queued: bool = False) -> Callable[[_Story, EventRow], None]:
    def fold(story: _Story, event: EventRow) -> None:
        if story.attempts and story.attempts[-1].outcome == RUNNING:
            attempt = story.attempts[-1]
            attempt.outcome, attempt.ended = outcome, event
        if queued:
            story.queued_at = event.occurred_at

    return fold


def _refused(story: _Story, event: EventRow) -> None:
    for attempt in story.attempts:
        if attempt.started.details["lease"] == event.details["lease"]:
            attempt.is_refused = True


_FOLDS: Final[dict[str, Callable[[_Story, EventRow], None]]] = {
    facts.JobSubmitted.TOPIC: _submitted,
    facts.JobDue.TOPIC: _queued,
    facts.JobReopened.TOPIC: _queued,
    facts.AttemptStarted.TOPIC: _started,
    facts.AttemptSucceeded.TOPIC: _ended("succeeded"),
    facts.AttemptFailed.TOPIC: _ended("failed"),
    facts.AttemptExpired.TOPIC: _ended("worker_lost", queued=True),
    facts.AttemptHandedBack.TOPIC: _ended("handed_back", queued=True),
    facts.JobCancelled.TOPIC: _ended("cancelled"),
    facts.OutcomeRefused.TOPIC: _refused,
}


def _view(attempt: _Attempt, text: SealedText) -> AttemptView:
    started, ended = attempt.started, attempt.ended
    told = started.details
    outcome: dict[str, Any] = {} if ended is None else ended.details
    return AttemptView(
        number=told["lease"],
        counted_as=told["attempt"],
        worker=told["worker"],
        isolation=told["isolation"],
        tool_version=attempt.tool_version,
        waited_ms=attempt.waited_ms,
        started_at=started.occurred_at,
        ended_at=None if ended is None else ended.occurred_at,
        outcome=attempt.outcome,
        duration_ms=_duration(attempt),
        error=_error(outcome, text),
        permanent=outcome.get("permanent"),
        retry_at=outcome.get("retry_at"),
        resources=outcome.get("resources") or {},
        late_outcome_refused=attempt.is_refused,
    )


def _duration(attempt: _Attempt) -> int | None:
    """As the worker measured it; by the facts' own times where no worker could."""
    if attempt.ended is None:
        return None
    measured: int | None = attempt.ended.details.get("duration_ms")
    if measured is not None:
        return measured
    return _milliseconds(attempt.started.occurred_at, attempt.ended.occurred_at)


def _error(outcome: dict[str, Any], text: SealedText) -> ErrorView | None:
    code = outcome.get("code")
    return ErrorView(code=code, message=text.message(outcome.get(MESSAGE))) if code else None


def _milliseconds(begin: datetime, end: datetime) -> int:
    return max(0, int((end - begin).total_seconds() * 1000))
