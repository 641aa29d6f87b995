"""Pages of a tenant's things, newest first: by owner and state, on from where the last page ended.

For read models of one table whose rows have a tenant, an owner and a status.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Table, Text, bindparam, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from query_api.cursors import Cursor
from query_api.queries.applied import Applied
from query_api.reader import AnySelect, Reader, with_applied

RowT = TypeVar("RowT")


@dataclass(frozen=True, eq=False)
class NewestFirst(Generic[RowT]):
    """How the pages of one table are read."""

    table: Table
    columns: tuple[ColumnElement[Any], ...]
    """What `make` is given, in order; the first one is never null."""
    made_at: str
    key: str
    """The columns that put the rows in order."""
    make: Callable[..., RowT]
    projections: tuple[str, ...]

    async def page(
        self,
        reader: Reader,
        tenant: str,
        owner: str | None,
        statuses: Sequence[str],
        after: Cursor | None,
        limit: int,
    ) -> Applied[list[RowT]]:
        """The newest in any of these states, or those that follow the cursor."""
        given = {
            "tenant": tenant,
            "owner": owner,
            "statuses": list(statuses) or None,
            "cursor_at": after and after.created_at,
            "cursor_id": after and after.job_id,
        }
        parameters = {name: value for name, value in given.items() if value is not None}
        statement = _statement(self, frozenset(parameters))
        rows = await reader.rows(statement, {**parameters, "limit": limit})
        found = [self.make(*row[1:]) for row in rows if row[1] is not None]
        return Applied(found, rows[0][0] or 0)


@cache
def _statement(pages: NewestFirst[Any], conditions: frozenset[str]) -> AnySelect:
    """The select for these conditions: few shapes, each built once."""
    column = pages.table.c
    made_at, key = column[pages.made_at], column[pages.key]
    where = {
        "tenant": column.tenant == bindparam("tenant"),
        "owner": column.owner == bindparam("owner"),
        "statuses": column.status == func.any(bindparam("statuses", type_=ARRAY(Text))),
        "cursor_id": tuple_(made_at, key)
        < tuple_(
            bindparam("cursor_at", type_=made_at.type), bindparam("cursor_id", type_=key.type)
        ),
    }
    page = select(*pages.columns).where(
        *(where[name] for name in sorted(conditions & where.keys()))
    )
    newest_first = page.order_by(made_at.desc(), key.desc())
    return with_applied(newest_first.limit(bindparam("limit")), *pages.projections)
