"""The rows that a projection works on, between the log and its table.

Three kinds are enough: one row for each aggregate, which changes; rows that are only ever added;
and sums. Each knows how to write itself in bulk, into any generation of its table: as a batch
beside rows that are there, or, in a rebuild, as records to copy into an empty table.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import partial
from operator import attrgetter
from typing import Any, Final, Generic, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Table

from infrastructure.postgres import Connection
from projectors import statements
from projectors.statements import Write

ROWS_CACHED_MAX: Final = 50_000
"""Rows kept between batches; the least recently used go first."""

R = TypeVar("R")

Record = Sequence[Any]
"""The values of one row, in the order of the table's columns."""


class RowsChanged(Exception):
    """The table does not hold what this projection wrote: somebody else changed it."""


class Rows(Protocol):
    """What every kind can do."""

    @property
    def table(self) -> Table:
        """The read model that the rows belong to."""
        ...

    def writes(self, generation: int) -> list[Write]:
        """What it takes to write what was folded since the last `settle`."""
        ...

    def settle(self) -> None:
        """What was written is committed: forget it, keep what the next batch may need."""
        ...

    def clear(self) -> None:
        """Forget everything: what was folded did not happen."""
        ...

    def take(self, *, but: UUID | None = None) -> Sequence[Record]:
        """Hand over what was folded, to be copied; more may follow of the aggregate `but`."""
        ...


class KeyedRows(Generic[R]):
    """One row for each aggregate, found by the aggregate's id; it changes.

    Rows stay in memory between batches. That is safe because nobody else writes: the checkpoint
    that moves in the same transaction would have moved for both.
    """

    def __init__(
        self,
        table: Table,
        key: str,
        make: Callable[..., R],
        changing: Sequence[str],
        *,
        is_done: Callable[[R], bool] = lambda row: False,
    ) -> None:
        self.table = table
        self._key = key
        self._make = make
        self._changing = tuple(changing)
        self._is_done = is_done
        self._record_of = attrgetter(*(column.name for column in table.c))
        self._change_of = attrgetter(key, *changing)
        self._columns_changing = [table.c[name] for name in (key, *changing)]
        self._rows: dict[UUID, R] = {}
        self.get = self._rows.get
        """The row of a key, if it is loaded or was just added."""
        self._added: dict[UUID, R] = {}
        self._changed: dict[UUID, R] = {}

    def add(self, key: UUID, row: R) -> None:
        """A row that is new."""
        self._rows[key] = self._added[key] = row

    def change(self, key: UUID, row: R) -> None:
        """A row that was changed in place."""
        if key not in self._added:
            self._changed[key] = row

    @property
    def touched(self) -> Iterable[R]:
        """The rows added or changed since the last `settle`."""
        return [*self._added.values(), *self._changed.values()]

    async def load(self, connection: Connection, generation: int, keys: Iterable[UUID]) -> None:
        """Read those of these rows that are not in memory; absent ones stay absent."""
        missing = [key for key in keys if key not in self._rows]
        if missing:
            query = statements.select_by_key(self.table, generation, self._key)
            for record in await connection.fetch(query, missing):
                self._rows[record[self._key]] = self._make(*record)

    def writes(self, generation: int) -> list[Write]:
        """See `Rows.writes`."""
        made = []
        if self._added:
            values = [self._record_of(row) for row in self._added.values()]
            made.append(_insert(self.table, generation, values))
        if self._changed:
            values = [self._change_of(row) for row in self._changed.values()]
            made.append(
                Write(
                    partial(statements.update, self.table, generation, self._key, self._changing),
                    statements.arrays(self._columns_changing, values),
                    len(values),
                )
            )
        return made

    def settle(self) -> None:
        """See `Rows.settle`."""
        for key, row in (*self._added.items(), *self._changed.items()):
            # Moved to the young end, or out: rows that are done are seldom seen again.
            self._rows.pop(key, None)
            if not self._is_done(row):
                self._rows[key] = row
        self._added.clear()
        self._changed.clear()
        while len(self._rows) > ROWS_CACHED_MAX:
            del self._rows[next(iter(self._rows))]

    def clear(self) -> None:
        """See `Rows.clear`."""
        self._rows.clear()
        self._added.clear()
        self._changed.clear()

    def take(self, *, but: UUID | None = None) -> Sequence[Record]:
        """See `Rows.take`."""
        kept = self._added.pop(but, None) if but is not None else None
        taken = [self._record_of(row) for row in self._added.values()]
        self.clear()
        if but is not None and kept is not None:
            self.add(but, kept)
        return taken

    def copy(self) -> dict[UUID, R]:
        """The rows that were added, as they stand now."""
        return {key: copy(row) for key, row in self._added.items()}


class AppendedRows:
    """Rows that are only ever added."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._records: list[Record] = []
        self.add = self._records.append

    def writes(self, generation: int) -> list[Write]:
        """See `Rows.writes`."""
        return [_insert(self.table, generation, self._records)] if self._records else []

    def settle(self) -> None:
        """See `Rows.settle`."""
        self._records.clear()

    def clear(self) -> None:
        """See `Rows.clear`."""
        self._records.clear()

    def take(self, *, but: UUID | None = None) -> Sequence[Record]:
        """See `Rows.take`."""
        taken = list(self._records)
        self._records.clear()
        return taken


class Sums:
    """Rows that are added to; a row that was ever touched stays, also at zero."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._columns = list(table.c)
        self._zero = [0] * (len(self._columns) - len(table.primary_key.columns))
        self._sums: dict[tuple[Any, ...], list[int]] = {}

    def add(self, key: tuple[Any, ...], amount: int, column: int = 0) -> None:
        """Add to one of the summed columns of the row with this primary key."""
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = self._zero.copy()
        sums[column] += amount

    def writes(self, generation: int) -> list[Write]:
        """See `Rows.writes`."""
        if not self._sums:
            return []
        sql = partial(statements.add, self.table, generation)
        arguments = statements.arrays(self._columns, self._records())
        return [Write(sql, arguments, len(self._sums))]

    def settle(self) -> None:
        """See `Rows.settle`."""
        self._sums.clear()

    def clear(self) -> None:
        """See `Rows.clear`."""
        self._sums.clear()

    def take(self, *, but: UUID | None = None) -> Sequence[Record]:
        """See `Rows.take`; what follows of any aggregate is to be added to it, see `merge`."""
        taken = self._records()
        self._sums.clear()
        return taken

    def merge(self, records: Sequence[Record]) -> None:
        """Add records that were taken from other sums of the same table."""
        keys = len(self._columns) - len(self._zero)
        for record in records:
            for column, amount in enumerate(record[keys:]):
                self.add(tuple(record[:keys]), amount, column)

    def _records(self) -> list[Record]:
        return [(*key, *sums) for key, sums in self._sums.items()]


def _insert(table: Table, generation: int, records: Sequence[Record]) -> Write:
    sql = partial(statements.insert, table, generation)
    return Write(sql, statements.arrays(list(table.c), records), len(records))
