"""Opens the keys under which names and messages lie sealed in the log."""

from uuid import UUID

from events.store.log import Log
from events.store.repository import LogUnavailable
from events.store.sealing import Seal, Sealer
from infrastructure.postgres import UNAVAILABLE


class KeyRing:
    """The keys of jobs and uploads, fetched when they are needed and not kept."""

    def __init__(self, log: Log, sealer: Sealer) -> None:
        self._log = log
        self._sealer = sealer

    async def seal(self, subject_id: UUID) -> Seal | None:
        """The open key of a job or upload; None if it was erased. Raises LogUnavailable."""
        try:
            wrapped = (await self._log.keys([subject_id])).get(subject_id)
        except UNAVAILABLE as error:
            raise LogUnavailable(LogUnavailable.__doc__) from error
        return None if wrapped is None else self._sealer.open_key(subject_id, wrapped)
