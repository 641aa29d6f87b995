"""Opens the keys of jobs; jobs that start at the same moment share one round trip."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from events.store.log import Log
from events.store.sealing import Seal, SealBroken, Sealer
from infrastructure.batching import Batcher, Overloaded
from infrastructure.postgres import UNAVAILABLE

KEYS_IN_BATCH_MAX: Final = 500
KEYS_WAITING_MAX: Final = 20_000

_CANNOT_READ: tuple[type[BaseException], ...] = (*UNAVAILABLE, Overloaded)


class KeysUnavailable(Exception):
    """The keys cannot be read at the moment."""


class Keys:
    """The keys of jobs, open."""

    def __init__(self, log: Log, sealer: Sealer) -> None:
        self._log = log
        self._sealer = sealer
        self._asked: Batcher[UUID, bytes | None] = Batcher(
            self._read, batch_max=KEYS_IN_BATCH_MAX, waiting_max=KEYS_WAITING_MAX
        )

    async def seal(self, job_id: UUID) -> Seal | None:
        """The key of a job; None if it was erased. Raises KeysUnavailable."""
        try:
            wrapped = await self._asked.submit(job_id)
        except _CANNOT_READ as error:
            raise KeysUnavailable(KeysUnavailable.__doc__) from error
        if wrapped is None:
            return None
        try:
            return self._sealer.open_key(job_id, wrapped)
        except SealBroken:
            return None

    async def close(self) -> None:
        """Let what is under way finish."""
        await self._asked.close()

    async def _read(self, job_ids: Sequence[UUID]) -> Sequence[bytes | None]:
        found = await self._log.keys(job_ids)
        return [found.get(job_id) for job_id in job_ids]
