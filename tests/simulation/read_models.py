"""Read models in memory: the product's own folds and writes, put into dictionaries."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, cast
from uuid import UUID

from sqlalchemy import Table

from events.contracts.envelope import RecordedRow
from infrastructure.postgres import Connection
from projectors import statements
from projectors.batches import Applied, JobState
from projectors.checkpoints import Damaged, NotTheOwner, Standing
from projectors.group import Group
from projectors.statements import Write
from tests.simulation.process import SimProcess

GENERATION: Final = 1
_QUERY: Final = re.compile(r"FROM \w+\.(\w+) WHERE (\w+) =")

Key = tuple[Any, ...]


class Record(tuple[Any, ...]):
    """A row as the database returns it: by number and by name."""

    names: Sequence[str]

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.names.index(key) if isinstance(key, str) else key)


class ReadModels:
    """The tables of the live generation, and the one checkpoint that moves with them."""

    def __init__(self) -> None:
        self.position = 0
        self.tables: dict[str, dict[Key, dict[str, Any]]] = {}

    def write(self, write: Write) -> None:
        """Do what a write of a batch says; raises Damaged where the database would refuse."""
        sql = cast("partial[str]", write.sql)
        table: Table = sql.args[0]
        rows = self.tables.setdefault(table.name, {})
        _WRITES[sql.func](rows, table, sql.args, list(zip(*write.arguments, strict=True)))

    def select(self, query: str, keys: Sequence[UUID]) -> list[Record]:
        """The rows of these keys, all columns in order; see `statements.select_by_key`."""
        found = _QUERY.search(query)
        assert found is not None, query
        name = next(name for name in self.tables if found[1].startswith(name))
        wanted, records = set(keys), []
        for row in self.tables[name].values():
            if row[found[2]] in wanted:
                record = Record(row.values())
                record.names = list(row)
                records.append(record)
        return records


class _Reading:
    """As much of a connection as loading rows takes."""

    def __init__(self, models: ReadModels) -> None:
        self._models = models

    async def fetch(self, query: str, keys: Sequence[UUID]) -> list[Record]:
        """Answer a query by key."""
        return self._models.select(query, keys) if self._models.tables else []


class TablesPort:
    """The read models as one projector reaches them; see `projectors.tables.Tables`."""

    def __init__(self, process: SimProcess, models: ReadModels, group: Group) -> None:
        self._process = process
        self._models = models
        self._group = group

    async def take_over(self) -> Standing:
        """See `Tables.take_over`."""
        await self._process.reach()
        self._group.clear()
        return Standing(GENERATION, self._models.position)

    async def check(self, standing: Standing) -> None:
        """See `Tables.check`."""
        await self._process.reach()

    async def apply(self, standing: Standing, rows: Sequence[RecordedRow]) -> Applied:
        """See `Tables.apply`."""
        group, reading = self._group, cast(Connection, _Reading(self._models))
        events = group.decode(rows)
        await self._process.reach()
        await group.load(reading, GENERATION, events)
        group.fold(events)
        await self._process.reach()
        if self._models.position != standing.position:
            raise NotTheOwner
        for write in group.writes(GENERATION):
            self._models.write(write)
        self._models.position = rows[-1].position
        jobs = [
            JobState(job.job_id, str(job.status), job.attempt, job.version, job.position)
            for job in group.changed_jobs
        ]
        await self._process.returned()
        group.settle()
        return Applied(Standing(GENERATION, rows[-1].position), events, jobs)

    def let_go(self) -> None:
        """See `Tables.let_go`."""
        self._group.clear()


def _insert(
    rows: dict[Key, dict[str, Any]], table: Table, _: Sequence[Any], records: Sequence[Key]
) -> None:
    names, keys = [column.name for column in table.c], [c.name for c in table.primary_key]
    for record in records:
        row = dict(zip(names, record, strict=True))
        key = tuple(row[name] for name in keys)
        if key in rows:
            raise Damaged(f"{table.name}: {key} is there already")
        rows[key] = row


def _update(
    rows: dict[Key, dict[str, Any]], _: Table, arguments: Sequence[Any], records: Sequence[Key]
) -> None:
    key_name, changing = arguments[2:4]
    by_key = {row[key_name]: row for row in rows.values()}
    for key, *values in records:
        if key not in by_key:
            raise Damaged(f"{key} is not there")
        by_key[key].update(zip(changing, values, strict=True))


def _add(
    rows: dict[Key, dict[str, Any]], table: Table, _: Sequence[Any], records: Sequence[Key]
) -> None:
    names, keys = [column.name for column in table.c], [c.name for c in table.primary_key]
    for record in records:
        row = dict(zip(names, record, strict=True))
        key = tuple(row[name] for name in keys)
        before = rows.get(key)
        if before is None:
            rows[key] = row
            continue
        for name in names:
            if name not in keys:
                before[name] += row[name]


_WRITES: Final[dict[Callable[..., str], Callable[..., None]]] = {
    statements.insert: _insert,
    statements.update: _update,
    statements.add: _add,
}
