"""The references to blobs in PostgreSQL: tables of work, with a checkpoint of their own.

They are caught up when the sweeper is about to look, so that a job which came and went between two
passes leaves no row. Rows that somebody deleted would make living blobs look dead; so the rows are
counted in the transaction that changes them, and made anew from the log when the count is wrong.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from events.store.codec import Codec
from events.store.log import TAIL_SETTINGS, recorded_row
from events.store.statements import READ_HEAD, READ_WINDOW
from infrastructure.blobs.base import BlobKey, checked_key
from infrastructure.postgres import Connection
from processors.session import Session
from processors.sweeper import statements as sql
from processors.sweeper.references import TOPICS, ReferenceChanges, Standing

WINDOW_EVENTS_MAX: Final = 50_000
"""Of the log in one read; not all of them name blobs."""
EVENTS_MAX: Final = 1_000
"""Few, as the clock shares the process: it must not wait while they are folded."""

log = structlog.get_logger(__name__)


class PostgresReferences:
    """The tables, over a connection of their own."""

    def __init__(self, dsn: str) -> None:
        self._session = Session(dsn, prepare=TAIL_SETTINGS)
        self._codec = Codec()

    async def begin(self) -> Standing:
        """See `References.begin`."""
        (row,) = await self._session.fetch(sql.BEGIN)
        if row["found"] != row["counted"] or row["position"] > row["head"]:
            log.warning("blob_references_made_anew", found=row["found"], counted=row["counted"])
            await self._forget()
        place = row["place"]
        return Standing(row["log_began"], checked_key(place) if place else None)

    async def catch_up(self) -> bool:
        """See `References.catch_up`."""
        (row,) = await self._session.fetch(sql.LAG)
        if row["events"] <= 0:
            return True
        async with self._session.transaction() as connection:
            after = await connection.fetchval(sql.LOCK)
            head = await connection.fetchval(READ_HEAD)
            up_to = min(head, after + WINDOW_EVENTS_MAX)
            rows = await connection.fetch(READ_WINDOW, after, up_to, TOPICS, EVENTS_MAX)
            if len(rows) == EVENTS_MAX:
                up_to = rows[-1]["notification_id"]
            changes = ReferenceChanges()
            for each in map(recorded_row, rows):
                changes.fold(each, self._codec.decode_row(each).fact)
            await connection.execute(sql.MOVE, up_to, await _write(connection, changes))
            return bool(up_to == head)

    async def unreferenced(self, blob_ids: Sequence[UUID]) -> set[UUID]:
        """See `References.unreferenced`."""
        rows = await self._session.fetch(sql.UNREFERENCED, list(blob_ids))
        return {UUID(int=row["id"].int) for row in rows}

    async def keep_place(self, place: BlobKey | None) -> None:
        """See `References.keep_place`."""
        await self._session.fetch(sql.KEEP_PLACE, place)

    async def close(self) -> None:
        """See `References.close`."""
        await self._session.close()

    async def _forget(self) -> None:
        async with self._session.transaction() as connection:
            await connection.fetchval(sql.LOCK)
            await connection.execute(sql.FORGET)
            await connection.execute(sql.FROM_THE_BEGINNING)


async def _write(connection: Connection, changes: ReferenceChanges) -> int:
    """Write them, and say by how many rows the table has grown."""
    grown = 0
    if changes.let_go:
        subjects, parts = zip(*changes.let_go, strict=True)
        grown -= _rows(await connection.execute(sql.LET_GO, subjects, parts))
    if pairs := changes.pairs():
        subjects, parts, blobs = zip(*pairs, strict=True)
        grown += _rows(await connection.execute(sql.NAME, subjects, parts, blobs))
    return grown


def _rows(status: str) -> int:
    """How many rows a statement touched: `DELETE 5`, `INSERT 0 5`."""
    return int(status.rpartition(" ")[2])
