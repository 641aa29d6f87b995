"""The history of one job, as the timeline tells it."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, select

from projectors.read_models.job_timeline import job_timeline
from query_api.queries.applied import Applied
from query_api.queries.jobs import JOB_SUMMARY
from query_api.reader import Reader, with_applied

# The job's own row decides who may see its history.
PROJECTIONS: Final = ("job_timeline", JOB_SUMMARY)


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event of the job; sealed text is still sealed."""

    position: int
    version: int
    topic: str
    actor: str
    occurred_at: datetime
    recorded_at: datetime
    details: dict[str, Any]


_COLUMNS: Final = tuple(job_timeline.c[field.name] for field in fields(EventRow))
_PART: Final = with_applied(
    select(*_COLUMNS)
    .where(job_timeline.c.job_id == bindparam("job_id"))
    .where(job_timeline.c.version > bindparam("after"))
    .order_by(job_timeline.c.version)
    .limit(bindparam("limit")),
    *PROJECTIONS,
)


async def list_events(
    reader: Reader, job_id: UUID, after: int, limit: int
) -> Applied[list[EventRow]]:
    """The events after a version, oldest first; at most `limit`."""
    rows = await reader.rows(_PART, {"job_id": job_id, "after": after, "limit": limit})
    found = [EventRow(*row[1:]) for row in rows if row[1] is not None]
    return Applied(found, rows[0][0] or 0)
