"""What the query API reads of the write side: an aggregate's history, and the keys of sealed text.

Nothing else of it is read, and only by key: no query here tails or scans the log.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar
from uuid import UUID

import structlog

from events.contracts.envelope import RecordedEvent
from events.store.codec import Codec
from events.store.log import VERSION_MAX, Log
from events.store.sealing import Seal, SealBroken, Sealer
from infrastructure.postgres import UNAVAILABLE
from query_api.errors import Unavailable

READ_SECONDS_MAX: Final = 5.0
TRIES_MAX: Final = 2

log = structlog.get_logger(__name__)

T = TypeVar("T")


class History:
    """The log, read by key; raises Unavailable where the database cannot answer."""

    def __init__(self, log: Log, sealer: Sealer) -> None:
        self._log = log
        self._sealer = sealer
        self._codec = Codec()

    async def head(self) -> int:
        """The position of the newest event."""
        return await patiently(self._log.head)

    async def first_event(self, aggregate_id: UUID) -> RecordedEvent | None:
        """The event that began an aggregate; None if there is no such aggregate."""
        row = await patiently(lambda: self._log.first_event(aggregate_id))
        return None if row is None else self._codec.decode_row(row)

    async def events(
        self, aggregate_id: UUID, *, after: int = 0, up_to: int = VERSION_MAX
    ) -> Sequence[RecordedEvent]:
        """The history of an aggregate after a version and up to one, in order."""
        rows = await patiently(
            lambda: self._log.read_stream(aggregate_id, after_version=after, up_to=up_to)
        )
        return [self._codec.decode_row(row) for row in rows]

    async def seals(self, job_ids: Sequence[UUID]) -> dict[UUID, Seal]:
        """The open keys of these jobs; those that were erased are left out."""
        if not job_ids:
            return {}
        wrapped = await patiently(lambda: self._log.keys(job_ids))
        seals = {job_id: self._open(job_id, key) for job_id, key in wrapped.items()}
        return {job_id: seal for job_id, seal in seals.items() if seal is not None}

    async def seal(self, job_id: UUID) -> Seal | None:
        """The open key of one job; None if it was erased."""
        return (await self.seals([job_id])).get(job_id)

    def label_token(self, tenant: str, name: str, value: str) -> str:
        """The token under which jobs with this label are found."""
        return self._sealer.label_token(tenant, name, value)

    def _open(self, job_id: UUID, wrapped: bytes) -> Seal | None:
        try:
            return self._sealer.open_key(job_id, wrapped)
        except SealBroken:
            # Another SEALING_KEY than the one it was wrapped with.
            log.warning("job_key_not_opened", job_id=str(job_id))
            return None


async def patiently(read: Callable[[], Awaitable[T]]) -> T:
    """Read under a deadline; once more where a connection turned out to be dead."""
    try:
        async with asyncio.timeout(READ_SECONDS_MAX):
            for _ in range(TRIES_MAX - 1):
                try:
                    return await read()
                except UNAVAILABLE as error:
                    log.info("log_read_repeated", kind=type(error).__name__)
            return await read()
    except UNAVAILABLE as error:
        raise Unavailable from error
