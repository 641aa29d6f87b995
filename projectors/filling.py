"""Fills the tables of a new generation: a slice of the log folded page by page, and copied.

While one page is folded the database reads the next and takes in the last, so the work of both
sides overlaps. Sums are held, for the end of all slices; of everything else, one unfinished row and
two pages.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Table

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
            str(rows.table.name): Sums(rows.table)
            for rows in group.all_rows
            if isinstance(rows, Sums)
        }
        self._writing: asyncio.Task[None] | None = None

    async def fill(self, pages: AsyncIterator[Sequence[RecordedRow]]) -> None:
        """Fold all pages and write what they make, but for the sums."""
        try:
            async for page in pages:
                await self._fold(page)
                await self._write(self._taken(but=page[-1].originator_id))
            await self._write(self._taken())
            await self._written()
        finally:
            if self._writing is not None:
                self._writing.cancel()

    @property
    def sum_tables(self) -> Sequence[Table]:
        """The read models that are sums."""
        return [total.table for total in self._totals.values()]

    def take_sums(self) -> dict[str, Sequence[Record]]:
        """Hand over the sums of all that was filled, by table."""
        return {name: total.take() for name, total in self._totals.items()}

    def add_sums(self, sums: Mapping[str, Sequence[Record]]) -> None:
        """Add the sums of another slice."""
        for name, records in sums.items():
            self._totals[name].merge(records)

    async def write_sums(self) -> None:
        """Write the sums, once all slices are in them."""
        for name, records in self.take_sums().items():
            await self._copy_into(self._totals[name], records)

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

    def _taken(self, *, but: UUID | None = None) -> list[tuple[Rows, Sequence[Record]]]:
        """What is complete, which all is but the last aggregate's; sums go to the totals."""
        taken = []
        for rows in self._group.all_rows:
            records = rows.take(but=but)
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
            await self._copy_into(rows, records)
        for write in parked:
            await self._connection.execute(f"{_EVERYBODY} {write.sql(1)}", *write.arguments)

    async def _copy_into(self, rows: Rows, records: Sequence[Record]) -> None:
        if records:
            await self._connection.copy_records_to_table(
                physical_name(rows.table.name, self._generation),
                schema_name=SCHEMA,
                columns=[column.name for column in rows.table.c],
                records=records,
            )
