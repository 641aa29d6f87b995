"""Sees to it that of the jobs with one key there is one at a time.

The reservation is written in the append of the job that takes it, so of two that come at the same
moment one loses that append, looks again, and finds the other.
"""

from typing import Final
from uuid import UUID

from command_api.commands import OnConflict, SubmitJob, Unique
from events.contracts.reservation import reservation_id
from events.contracts.values import Origin
from events.domain.errors import JobNotUnique, NotFound
from events.domain.job import Job
from events.domain.reservation import Hold, Reservation, Scope, Until
from events.store.repository import Repository
from events.store.reservations import holder_of, regained
from events.store.sealing import Sealer

KEY_LABEL: Final = "unique key"


class Uniqueness:
    """Takes reservations, and finds out who holds them."""

    def __init__(self, repository: Repository, sealer: Sealer) -> None:
        self._repository = repository
        self._sealer = sealer

    def reservation_id(self, command: SubmitJob) -> UUID | None:
        """Which reservation the job needs; None if it need not be unique."""
        unique, tenant = command.unique, command.principal.tenant
        if unique is None:
            return None
        within = {Scope.TOOL: command.tool, Scope.QUEUE: command.queue, Scope.TENANT: ""}
        token = self._sealer.label_token(tenant, KEY_LABEL, unique.key)
        return reservation_id(tenant, unique.scope, within[unique.scope], token)

    async def reserve(
        self, key: UUID, unique: Unique, job_id: UUID, origin: Origin
    ) -> Reservation | Job:
        """The reservation, taken and to be saved with the job; or the job that holds it.

        Raises JobNotUnique where the client wants no other job, and LogUnavailable.
        """
        hold = _hold(unique, job_id)
        try:
            reservation = await self._repository.load(Reservation, key)
        except NotFound:
            return Reservation.reserve(key, unique.scope, hold, origin)
        holder = await holder_of(self._repository, reservation, origin)
        if holder is None:
            reservation.take_over(hold, origin)
            return reservation
        if unique.on_conflict is OnConflict.REJECT:
            raise JobNotUnique(job_id=str(holder.id), status=holder.status.value)
        return holder

    async def regain(self, job: Job, origin: Origin) -> Reservation | None:
        """What a job that is tried again needs to hold once more; None if it needs nothing.

        Raises JobNotUnique if another job holds the key meanwhile, and LogUnavailable.
        """
        return await regained(self._repository, job, origin)


def _hold(unique: Unique, job_id: UUID) -> Hold:
    if isinstance(unique.until, Until):
        return Hold(job_id, unique.until)
    return Hold(job_id, Until.TIME, unique.until)
