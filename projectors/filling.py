"""Fills the tables of a new generation: the whole log folded page by page, and copied.

While one page is folded the database reads the next and takes in the last, so the work of both
sides overlaps. Sums are held to the end; of everything else, one unfinished row and two pages.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from events.contracts.envelope import RecordedRow
from infrastructure.postgres import Connection
from projectors.collector import at_rest
from projectors.group import Group
from projectors.parking import Poisoned
from projectors.read_models.schema import SCHEMA, physical_name
from projectors.rows import Record, Rows, Sums
from projectors.statements import OWNER, Write

SLICE_EVENTS: Final = 1_000
"""Events folded before the connections get a turn."""

_EVERYBODY: Final = f"WITH {OWNER} AS (SELECT)"
"""Nobody else writes a generation that is being filled."""


class Filling:
    """Fills one generation, over one connection."""

    def __init__(self, connection: Connection, group: Group, generation: int) -> None:
        self._connection = connection
        self._group = group
        self._generation = generation
        self._totals = {
            rows.table.name: Sums(rows.table) for rows in group.all_rows if isinstance(rows, Sums)
        }
        self._writing: asyncio.Task[None] | None = None

    async def fill(self, pages: AsyncIterator[Sequence[RecordedRow]]) -> None:
        """Fold all pages and write what they make."""
        try:
            async for page in pages:
                await self._fold(page)
                await self._write(self._taken(page))
            await self._write(
                [(rows, self._totals.get(rows.table.name, rows).take()) for rows in self._rows]
            )
            await self._written()
        finally:
            if self._writing is not None:
                self._writing.cancel()

    @property
    def _rows(self) -> Sequence[Rows]:
        return self._group.all_rows

    async def _fold(self, page: Sequence[RecordedRow]) -> None:
        """Fold a page; what cannot be folded is parked, and the page folded again without it."""
        undo = self._group.carried()
        while True:
            try:
                for first in range(0, len(page), SLICE_EVENTS):
                    with at_rest():
                        events = self._group.decode(page[first : first + SLICE_EVENTS])
                        self._group.fold(events)
                    await asyncio.sleep(0)
            except Poisoned as poisoned:
                undo()
                self._group.parking.park(poisoned)
            else:
                return

    def _taken(self, page: Sequence[RecordedRow]) -> list[tuple[Rows, Sequence[Record]]]:
        """What is complete after a page; sums go to the totals."""
        taken = []
        for rows in self._rows:
            records = rows.take(but=page[-1].originator_id)
            if isinstance(rows, Sums):
                self._totals[rows.table.name].merge(records)
            else:
                taken.append((rows, records))
        return taken

    async def _write(self, taken: Sequence[tuple[Rows, Sequence[Record]]]) -> None:
        """Begin to write; waits only for what was begun before."""
        parked = self._group.parking.writes(self._generation)
        self._group.parking.settle()
        await self._written()
        self._writing = asyncio.create_task(self._copy(taken, parked), name="filling")

    async def _written(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing

    async def _copy(
        self, taken: Sequence[tuple[Rows, Sequence[Record]]], parked: Sequence[Write]
    ) -> None:
        for rows, records in taken:
            if records:
                await self._connection.copy_records_to_table(
                    physical_name(rows.table.name, self._generation),
                    schema_name=SCHEMA,
                    columns=[column.name for column in rows.table.c],
                    records=records,
                )
        for write in parked:
            await self._connection.execute(f"{_EVERYBODY} {write.sql(1)}", *write.arguments)
