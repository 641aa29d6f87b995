"""SQL that writes many rows at once, made from the tables themselves.

Each write takes one array for each column and unnests them side by side, and all writes of a batch
are joined into one statement: a batch is one round trip and one transaction, however many rows it
has. Like the append to the log, every write selects from the row that says who may write.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Column, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY

from projectors.read_models.schema import SCHEMA, physical_name

STATEMENTS_KEPT_MAX: Final = 500

OWNER: Final = "owner"
"""One row, if the checkpoint was where its owner left it; else none."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a batch."""

    sql: Callable[[int], str]
    """Its text, given the number of its first parameter."""
    arguments: Sequence[Any]
    rows: int
    """How many rows it must touch."""


_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def qualified(table: Table, generation: int) -> str:
    """The table of one generation, as SQL names it."""
    return f"{SCHEMA}.{physical_name(table.name, generation)}"


@lru_cache(STATEMENTS_KEPT_MAX)
def select_by_key(table: Table, generation: int, key: str) -> str:
    """Rows of the keys in `$1`, all columns in the table's order."""
    kind = _type_of(table.c[key])
    source = qualified(table, generation)
    return f"SELECT {_names(table.c)} FROM {source} WHERE {key} = ANY($1::{kind}[])"


@lru_cache(STATEMENTS_KEPT_MAX)
def insert(table: Table, generation: int, first: int) -> str:
    """New rows, all columns in the table's order; parameters from `first` on."""
    return (
        f"INSERT INTO {qualified(table, generation)} ({_names(table.c)})"
        f" SELECT {_selected(table.c)} FROM {OWNER}, {_unnested(list(table.c), first)}"
    )


@lru_cache(STATEMENTS_KEPT_MAX)
def update(table: Table, generation: int, key: str, changing: tuple[str, ...], first: int) -> str:
    """Rows that exist: the key's array first, then one for each changing column."""
    columns = [table.c[key], *(table.c[name] for name in changing)]
    settings = ", ".join(f"{column.name} = {_expression(column)}" for column in columns[1:])
    return (
        f"UPDATE {qualified(table, generation)} AS t SET {settings}"
        f" FROM {OWNER}, {_unnested(columns, first)} WHERE t.{key} = u.{key}"
    )


@lru_cache(STATEMENTS_KEPT_MAX)
def add(table: Table, generation: int, first: int) -> str:
    """Add to the columns outside the primary key; rows that are not there begin at zero."""
    keys = [column.name for column in table.primary_key]
    sums = [column.name for column in table.c if column.name not in keys]
    additions = ", ".join(f"{name} = t.{name} + excluded.{name}" for name in sums)
    return (
        f"INSERT INTO {qualified(table, generation)} AS t ({_names(table.c)})"
        f" SELECT {_selected(table.c)} FROM {OWNER}, {_unnested(list(table.c), first)}"
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {additions}"
    )


@lru_cache(STATEMENTS_KEPT_MAX)
def joined(move: str, move_rows: int, writes: tuple[str, ...]) -> str:
    """One statement of many: the writes happen only if `move` found all its rows.

    It answers with the number of rows that each of them touched.
    """
    parts = [f"moved AS ({move} RETURNING 1)"]
    parts.append(f"{OWNER} AS (SELECT FROM moved HAVING count(*) = {move_rows})")
    parts += [f"write_{number} AS ({sql} RETURNING 1)" for number, sql in enumerate(writes)]
    counted = ["moved", *(f"write_{number}" for number in range(len(writes)))]
    counts = ", ".join(f"(SELECT count(*) FROM {name}) AS {name}" for name in counted)
    return f"WITH {', '.join(parts)} SELECT {counts}"


def arrays(columns: Sequence[Column[Any]], rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """The rows turned into one array for each column, as the statements above take them."""
    turned = [list(values) for values in zip(*rows, strict=True)]
    for number, column in enumerate(columns):
        if isinstance(column.type, ARRAY):
            turned[number] = [_array_literal(value) for value in turned[number]]
    return turned


def _names(columns: Iterable[Column[Any]]) -> str:
    return ", ".join(column.name for column in columns)


def _selected(columns: Iterable[Column[Any]]) -> str:
    return ", ".join(_expression(column) for column in columns)


def _expression(column: Column[Any]) -> str:
    # unnest takes arrays of arrays apart to the last element, so they travel as text.
    is_array = isinstance(column.type, ARRAY)
    return f"u.{column.name}::{_type_of(column)}" if is_array else f"u.{column.name}"


def _unnested(columns: Sequence[Column[Any]], first: int) -> str:
    parameters = ", ".join(
        f"${number}::{'text' if isinstance(column.type, ARRAY) else _type_of(column)}[]"
        for number, column in enumerate(columns, start=first)
    )
    return f"unnest({parameters}) AS u ({_names(columns)})"


def _type_of(column: Column[Any]) -> str:
    return column.type.compile(dialect=_DIALECT)


def _array_literal(values: Sequence[str] | None) -> str | None:
    if values is None:
        return None
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"
