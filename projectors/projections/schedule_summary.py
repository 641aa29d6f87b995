"""Projects schedules as they stand now."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from events.contracts import schedule as facts
from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from projectors.projections.job import JobRow
from projectors.read_models.schedule_summary import schedule_summary
from projectors.rows import KeyedRows, RowsChanged

ACTIVE: Final = "active"
PAUSED: Final = "paused"
DELETED: Final = "deleted"
MISSED: Final = "MISSED"
"""Why a time has no job that nobody looked at in time, by a plan that wants none then."""


@dataclass(slots=True)
class ScheduleRow:
    """One row of `schedule_summary`; the fields are its columns, in order."""

    schedule_id: UUID
    tenant: str
    owner: str
    name: str
    status: str
    cron: str
    zone: str
    missed: str
    tool: str
    template: str
    next_at: datetime | None
    last_fired_at: datetime | None
    last_job: UUID | None
    fired: int
    passed_over: int
    created_at: datetime
    changed_at: datetime
    version: int
    position: int
    skipped_tick: datetime | None
    skipped_because: str | None


CHANGING: Final = (
    *("name", "status", "cron", "zone", "missed", "tool", "template", "next_at"),
    *("last_fired_at", "last_job", "fired", "passed_over", "changed_at", "version", "position"),
    *("skipped_tick", "skipped_because"),
)


class ScheduleSummary:
    """Keeps each schedule as its latest fact left it."""

    name: Final = "schedule_summary"
    version: Final = 2

    def __init__(self) -> None:
        self.rows: KeyedRows[ScheduleRow] = KeyedRows(
            schedule_summary, "schedule_id", ScheduleRow, CHANGING
        )

    @property
    def handles(self) -> frozenset[type[AnyFact]]:
        """See `Projection.handles`."""
        return frozenset({facts.ScheduleCreated, *FOLDS})

    def fold(
        self, fact: Any, row: RecordedRow, job: JobRow | None, status_before: str | None
    ) -> None:
        """See `Projection.fold`."""
        key = fact.originator_id
        if type(fact) is facts.ScheduleCreated:
            self.rows.add(key, _created(fact, row.position))
            return
        schedule = self.rows.get(key)
        if schedule is None:
            raise RowsChanged(f"schedule_summary: no row before position {row.position}")
        FOLDS[type(fact)](schedule, fact)
        schedule.version = fact.originator_version
        schedule.position = row.position
        self.rows.change(key, schedule)


def _created(fact: facts.ScheduleCreated, position: int) -> ScheduleRow:
    return ScheduleRow(
        schedule_id=fact.originator_id,
        tenant=fact.tenant,
        owner=fact.owner,
        name=fact.name,
        status=ACTIVE,
        cron=fact.cron,
        zone=fact.zone,
        missed=fact.missed,
        tool=fact.template["tool"],
        template=orjson.dumps(fact.template).decode(),
        next_at=_time(fact.next_at),
        last_fired_at=None,
        last_job=None,
        fired=0,
        passed_over=0,
        created_at=fact.timestamp,
        changed_at=fact.timestamp,
        version=fact.originator_version,
        position=position,
        skipped_tick=None,
        skipped_because=None,
    )


def _changed(row: ScheduleRow, fact: facts.ScheduleChanged) -> None:
    row.name, row.cron, row.zone, row.missed = fact.name, fact.cron, fact.zone, fact.missed
    row.tool = fact.template["tool"]
    row.template = orjson.dumps(fact.template).decode()
    row.next_at = _time(fact.next_at)
    row.changed_at = fact.timestamp


def _paused(row: ScheduleRow, fact: facts.SchedulePaused) -> None:
    row.status, row.next_at, row.changed_at = PAUSED, None, fact.timestamp


def _resumed(row: ScheduleRow, fact: facts.ScheduleResumed) -> None:
    row.status, row.next_at, row.changed_at = ACTIVE, _time(fact.next_at), fact.timestamp


def _fired(row: ScheduleRow, fact: facts.ScheduleFired) -> None:
    row.next_at = _time(fact.next_at)
    row.last_fired_at = fact.timestamp
    row.last_job = UUID(fact.job)
    row.fired += 1
    row.passed_over += fact.passed_over
    if fact.tick is not None:
        row.skipped_tick = row.skipped_because = None


def _skipped(row: ScheduleRow, fact: facts.ScheduleSkipped) -> None:
    row.next_at = _time(fact.next_at)
    row.passed_over += fact.passed_over
    row.skipped_tick = _time(fact.tick)
    row.skipped_because = fact.reason or MISSED


def _deleted(row: ScheduleRow, fact: facts.ScheduleDeleted) -> None:
    row.status, row.next_at, row.changed_at = DELETED, None, fact.timestamp


FOLDS: Final[dict[type[AnyFact], Callable[[ScheduleRow, Any], None]]] = {
    facts.ScheduleChanged: _changed,
    facts.SchedulePaused: _paused,
    facts.ScheduleResumed: _resumed,
    facts.ScheduleFired: _fired,
    facts.ScheduleSkipped: _skipped,
    facts.ScheduleDeleted: _deleted,
}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
