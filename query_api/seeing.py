"""Finds the job that a request names, for somebody who may see it, as fresh as was asked for.

A job whose row is missing is looked up once in the log: if it is there, and may be seen, the
projection is only behind and is waited for. In every other case the answer is the same 404.
"""

from collections.abc import Sequence
from uuid import UUID

from events.contracts.envelope import RecordedEvent
from events.contracts.job import JobSubmitted
from infrastructure.principals import Principal
from query_api.errors import JobNotFound, ProjectionBehind
from query_api.principals import may_see
from query_api.queries import jobs
from query_api.queries.applied import Applied
from query_api.queries.jobs import JobRow
from query_api.resources import Resources
from query_api.waiting import read_when


async def visible_job(
    resources: Resources, principal: Principal, job_id: UUID, min_position: int = 0
) -> Applied[JobRow]:
    """The job at that position or later; raises JobNotFound or ProjectionBehind."""

    async def read() -> Applied[JobRow | None]:
        return await jobs.find_job(resources.reader, job_id)

    answer = await read()
    if answer.found is not None:
        _refuse_stranger(principal, answer.found.tenant, answer.found.owner)
    else:
        submitted = await resources.history.first_event(job_id)
        min_position = max(min_position, _visible(principal, submitted).position)
    if answer.found is None or answer.position < min_position:
        answer = await read_when(resources.positions, jobs.PROJECTIONS, min_position, read)
    if answer.found is None:
        # The projection has passed the job without making a row: its event was parked.
        raise ProjectionBehind
    return Applied(answer.found, answer.position)


async def visible_history(
    resources: Resources, principal: Principal, job_id: UUID
) -> Applied[Sequence[RecordedEvent]]:
    """All events of the job, from the log itself; raises JobNotFound."""
    head = await resources.history.head()
    events = await resources.history.events(job_id)
    _visible(principal, events[0] if events else None)
    return Applied(events, head)


def _visible(principal: Principal, first: RecordedEvent | None) -> RecordedEvent:
    if first is None or not isinstance(first.fact, JobSubmitted):
        raise JobNotFound
    _refuse_stranger(principal, first.fact.tenant, first.fact.owner)
    return first


def _refuse_stranger(principal: Principal, tenant: str, owner: str) -> None:
    if not may_see(principal, tenant, owner):
        raise JobNotFound
