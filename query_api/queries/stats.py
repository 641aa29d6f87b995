"""The tenant's jobs in numbers, from counters; nothing here counts over jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, bindparam, cast, func, select

from projectors.read_models.counters import job_counters, outcome_counters
from query_api.queries.applied import Applied
from query_api.reader import AnyRow, Reader, with_applied

PROJECTIONS: Final = ("job_counters", "outcome_counters")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What happened in a span of time."""

    submitted: int
    succeeded: int
    failed: int
    cancelled: int
    duration_ms_total: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Both kinds of numbers; `jobs` holds (tool, status, count)."""

    jobs: Sequence[tuple[str, str, int]]
    outcomes: Outcomes


_JOBS: Final = with_applied(
    select(job_counters.c.tool, job_counters.c.status, job_counters.c.jobs)
    .where(job_counters.c.tenant == bindparam("tenant"), job_counters.c.jobs != 0)
    .order_by(job_counters.c.tool, job_counters.c.status),
    *PROJECTIONS,
)
_OUTCOMES: Final = with_applied(
    select(
        *(
            cast(func.coalesce(func.sum(outcome_counters.c[name]), 0), BigInteger).label(name)
            for name in Outcomes.__slots__
        )
    ).where(
        outcome_counters.c.tenant == bindparam("tenant"),
        outcome_counters.c.hour >= bindparam("since"),
    ),
    *PROJECTIONS,
)


async def overview(reader: Reader, tenant: str, since: datetime) -> Applied[Overview]:
    """The tenant's jobs now, and their outcomes since then."""
    jobs = await reader.rows(_JOBS, {"tenant": tenant})
    outcomes = await reader.row(_OUTCOMES, {"tenant": tenant, "since": since})
    found = Overview(_jobs(jobs), Outcomes(*outcomes[1:]))
    return Applied(found, min(jobs[0][0] or 0, outcomes[0] or 0))


def _jobs(rows: Sequence[AnyRow]) -> list[tuple[str, str, int]]:
    return [(row.tool, row.status, row.jobs) for row in rows if row.tool is not None]
