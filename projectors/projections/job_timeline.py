"""Projects the history of jobs, one row for each event."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from events.contracts import job as facts
from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from projectors.projections.job import JobRow
from projectors.read_models.job_timeline import job_timeline
from projectors.rows import AppendedRows

DETAILS: Final[Mapping[type[AnyFact], tuple[str, ...]]] = {
    facts.JobSubmitted: (
        *("tool", "tool_version", "queue", "priority", "run_at", "attempts_max"),
        *("timeout_seconds", "queue_seconds_max", "retry", "schedule", "tick"),
    ),
    facts.AttemptStarted: ("lease", "attempt", "worker", "isolation"),
    facts.AttemptSucceeded: ("lease", "duration_ms", "expires_at", "resources"),
    facts.ResultReused: ("source", "expires_at"),
    facts.AttemptFailed: (
        *("lease", "code", "message", "permanent", "retry_at", "duration_ms", "resources"),
    ),
    facts.AttemptExpired: ("lease", "requeued"),
    facts.AttemptHandedBack: ("lease",),
    facts.JobDue: (),
    facts.JobWaitExpired: ("waited_seconds",),
    facts.JobCancelled: (),
    facts.JobReopened: (),
    facts.OutcomeRefused: ("lease", "outcome", "worker"),
    facts.JobResultExpired: (),
    facts.JobReprioritised: ("priority",),
}
"""Which fields of a fact the timeline shows; `message` is sealed, and stays so."""

IF_GIVEN: Final[Mapping[type[AnyFact], tuple[str, ...]]] = {
    facts.AttemptStarted: ("tool_version",),
}
"""Fields that are shown only where they say something: older facts make the rows they made."""

NO_DETAILS: Final = "{}"


class JobTimeline:
    """Adds one row for each fact of a job."""

    name: Final = "job_timeline"
    version: Final = 2
    handles: Final[frozenset[type[AnyFact]]] = frozenset(DETAILS)

    def __init__(self) -> None:
        self.rows = AppendedRows(job_timeline)

    def fold(
        self, fact: Any, row: RecordedRow, job: JobRow | None, status_before: str | None
    ) -> None:
        """See `Projection.fold`."""
        self.rows.add(
            (
                fact.originator_id,
                fact.originator_version,
                fact.tenant,
                row.position,
                row.topic,
                fact.actor,
                fact.timestamp,
                row.recorded_at,
                _details(fact),
            )
        )


def _details(fact: AnyFact) -> str:
    names = DETAILS[type(fact)]
    if not names:
        return NO_DETAILS
    # Not vars(): a fact from before a field was added has only the default of its class.
    told = {name: getattr(fact, name) for name in names}
    for name in IF_GIVEN.get(type(fact), ()):
        if (value := getattr(fact, name)) is not None:
            told[name] = value
    return orjson.dumps(told).decode()
