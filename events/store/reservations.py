"""Finds out who holds a key, and lets a job that is tried again hold its own once more."""

from events.contracts.values import Origin
from events.domain.errors import JobNotUnique, NotFound
from events.domain.job import Job
from events.domain.reservation import Hold, Reservation, Until
from events.store.repository import Repository


async def holder_of(repository: Repository, reservation: Reservation, origin: Origin) -> Job | None:
    """The job that keeps others away; None if the key is free. Raises LogUnavailable."""
    try:
        holder = await repository.load(Job, reservation.holder)
    except NotFound:
        return None
    return holder if reservation.is_held_by(holder, origin.at) else None


async def regained(repository: Repository, job: Job, origin: Origin) -> Reservation | None:
    """What a job that is tried again needs to hold once more; None if it needs nothing.

    It is to be saved with the job; also where the job held it last, so that of two jobs which come
    back at the same moment one loses. Raises JobNotUnique if another one holds the key meanwhile,
    and LogUnavailable.
    """
    if job.reservation is None:
        return None
    reservation = await repository.load(Reservation, job.reservation)
    if reservation.until is Until.TIME:
        return None
    holder = await holder_of(repository, reservation, origin)
    if holder is not None and holder.id != job.id:
        raise JobNotUnique(job_id=str(holder.id), status=holder.status.value)
    reservation.take_over(Hold(job.id, reservation.until), origin)
    return reservation
