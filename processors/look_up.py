"""Finds out about jobs that an event brings back without saying which queue they belong to."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from events.contracts.job import JobSubmitted
from events.store.codec import Codec
from processors.changes import JobRow, State, Step
from processors.folding import waiting_job
from processors.tail import Tail
from processors.work import WorkStore


class HistoryMissing(Exception):
    """The log knows an event of a job, but not its first."""


async def known_jobs(log: Tail, work: WorkStore, job_ids: Sequence[UUID]) -> Mapping[UUID, JobRow]:
    """These jobs as their rows have them; what has no row any more, as the log has it."""
    if not job_ids:
        return {}
    found = dict(await work.find(job_ids))
    for job_id in job_ids:
        if job_id not in found:
            found[job_id] = await _first_known(log, job_id)
    return found


async def _first_known(log: Tail, job_id: UUID) -> JobRow:
    row = await log.first_event(job_id)
    fact = None if row is None else Codec().decode_row(row).fact
    if row is None or not isinstance(fact, JobSubmitted):
        raise HistoryMissing(str(job_id))
    step = Step(State.QUEUED, row.originator_version, row.position, row.recorded_at)
    return JobRow(waiting_job(row, fact), step, place=row.position)
