"""The tenant's queues and limits, from projections; nothing here counts over jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, BindParameter, bindparam, case, cast, func, or_, select, union

from events.contracts.values import JobStatus
from projectors.read_models.job_summary import job_summary
from projectors.read_models.queues import limits, queue_counters, queue_states
from query_api.queries.applied import Applied
from query_api.reader import Reader, with_applied

QUEUE_PROJECTIONS: Final = ("queue_counters", "queue_states", "job_summary")
LIMIT_PROJECTIONS: Final = ("limits",)


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One queue of the tenant."""

    queue: str
    queued: int
    running: int
    scheduled: int
    retrying: int
    oldest_at: datetime | None
    paused: bool


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One limit of the tenant."""

    limit_id: UUID
    scope: str
    subject: str
    subject_text: str | None
    concurrency: int | None
    rate: int | None
    per_seconds: float | None


_TENANT: Final[BindParameter[str]] = bindparam("tenant")
_NAMES: Final = union(
    select(queue_counters.c.queue).where(queue_counters.c.tenant == _TENANT),
    select(queue_states.c.queue).where(queue_states.c.tenant == _TENANT),
).subquery("names")
_COUNTS: Final = (
    select(
        queue_counters.c.queue,
        *(
            cast(
                func.sum(case((queue_counters.c.status == status, queue_counters.c.jobs), else_=0)),
                BigInteger,
            ).label(status.value)
            for status in (
                JobStatus.QUEUED,
                JobStatus.RUNNING,
                JobStatus.SCHEDULED,
                JobStatus.RETRYING,
            )
        ),
    )
    .where(queue_counters.c.tenant == _TENANT)
    .group_by(queue_counters.c.queue)
    .subquery("counts")
)
_OLDEST: Final = (
    select(func.min(job_summary.c.queued_at))
    .where(
        job_summary.c.tenant == _TENANT,
        job_summary.c.queue == _NAMES.c.queue,
        job_summary.c.status == JobStatus.QUEUED.value,
    )
    .scalar_subquery()
)
_PAUSED: Final = (
    select(queue_states.c.paused)
    .where(queue_states.c.tenant == _TENANT, queue_states.c.queue == _NAMES.c.queue)
    .scalar_subquery()
)
_QUEUES: Final = with_applied(
    select(
        _NAMES.c.queue,
        *(
            func.coalesce(_COUNTS.c[name], 0).label(name)
            for name in ("queued", "running", "scheduled", "retrying")
        ),
        _OLDEST.label("oldest_at"),
        func.coalesce(_PAUSED, False).label("paused"),
    )
    .select_from(_NAMES.outerjoin(_COUNTS, _NAMES.c.queue == _COUNTS.c.queue))
    .order_by(_NAMES.c.queue),
    *QUEUE_PROJECTIONS,
)
_LIMITS: Final = with_applied(
    select(*(limits.c[name] for name in LimitRow.__slots__))
    .where(
        limits.c.tenant == _TENANT,
        or_(limits.c.concurrency.is_not(None), limits.c.rate.is_not(None)),
    )
    .order_by(limits.c.scope, limits.c.limit_id),
    *LIMIT_PROJECTIONS,
)


async def list_queues(reader: Reader, tenant: str) -> Applied[Sequence[QueueRow]]:
    """Every queue that the tenant ever used or paused, by name."""
    rows = await reader.rows(_QUEUES, {"tenant": tenant})
    found = [QueueRow(*row[1:]) for row in rows if row.queue is not None]
    return Applied(found, rows[0][0] or 0)


async def list_limits(reader: Reader, tenant: str) -> Applied[Sequence[LimitRow]]:
    """Every limit that the tenant has set."""
    rows = await reader.rows(_LIMITS, {"tenant": tenant})
    found = [LimitRow(*row[1:]) for row in rows if row.limit_id is not None]
    return Applied(found, rows[0][0] or 0)
