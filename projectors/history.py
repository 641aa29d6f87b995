"""Reads the whole log for a rebuild: aggregate by aggregate, each one's events in order.

In this order a rebuild holds one unfinished aggregate at a time, however long the log is, and every
row is complete when it is written. The order of the log itself is kept within each aggregate, which
is all that projections may rely on.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from operator import itemgetter
from typing import Final, cast
from uuid import UUID

import asyncpg

from events.contracts.envelope import RecordedRow
from infrastructure.postgres import Connection
from projectors.slices import EVERYTHING, Slice

PAGE_EVENTS_MAX: Final = 5_000

_SETTINGS: Final = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off"
"""The pages follow the primary key; any other plan would sort the log for each of them."""

_PAGE: Final = """
SELECT notification_id, originator_id, originator_version, topic, state, tenant, recorded_at
  FROM event_store.stored_events
 WHERE (originator_id, originator_version) > ($1, $2) AND originator_id <= $3
   AND notification_id <= $4
 ORDER BY originator_id, originator_version LIMIT $5
"""
_AFTER_ITS_LAST: Final = 2**62
"""A version beyond all that an aggregate can have."""


class LogRecord(asyncpg.Record):
    """A row of the log as the driver made it, with the attributes of a `RecordedRow`.

    A value object for each would be a sixth of the rebuild's work.
    """

    position = property(itemgetter(0))
    originator_id = property(itemgetter(1))
    originator_version = property(itemgetter(2))
    topic = property(itemgetter(3))
    state = property(itemgetter(4))
    tenant = property(itemgetter(5))
    recorded_at = property(itemgetter(6))


class History:
    """Reads over a connection of its own, one page ahead of whoever folds."""

    def __init__(self, connection: Connection, page_max: int = PAGE_EVENTS_MAX) -> None:
        self._connection = connection
        self._page_max = page_max

    async def pages(
        self, up_to: int, of: Slice = EVERYTHING
    ) -> AsyncGenerator[Sequence[RecordedRow], None]:
        """The events of a slice up to a position, in pages."""
        await self._connection.execute(_SETTINGS)
        reading = self._read(of.after, _AFTER_ITS_LAST, of, up_to)
        try:
            while page := await reading:
                last = page[-1]
                reading = self._read(last.originator_id, last.originator_version, of, up_to)
                yield page
        finally:
            reading.cancel()

    def _read(
        self, after: UUID, version: int, of: Slice, up_to: int
    ) -> "asyncio.Task[list[RecordedRow]]":
        reading = self._page(after, version, of.up_to, up_to, self._page_max)
        return asyncio.create_task(reading, name="history")

    async def _page(self, *arguments: object) -> list[RecordedRow]:
        rows = await self._connection.fetch(_PAGE, *arguments, record_class=LogRecord)
        return cast(list[RecordedRow], rows)
