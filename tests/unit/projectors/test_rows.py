"""The rows that a projection keeps in memory."""

from uuid import uuid4

import pytest

from projectors import rows as kinds
from projectors.projections.tool_catalogue import CHANGING, ToolRow
from projectors.read_models.counters import job_counters
from projectors.read_models.tool_catalogue import tool_catalogue
from projectors.rows import KeyedRows, Sums


def tool(name: str) -> ToolRow:
    """One row."""
    return ToolRow(
        name, uuid4(), "1", "", "[]", "[]", 1, 1, "{}", 1, 1.0, True, None, 1, False, None
    )


def keyed() -> KeyedRows[ToolRow]:
    """Rows of the catalogue; a tool that is not available counts as done."""
    return KeyedRows(
        tool_catalogue, "tool_id", ToolRow, CHANGING, is_done=lambda row: not row.available
    )


def test_the_least_recently_used_rows_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "ROWS_CACHED_MAX", 5)
    rows = keyed()
    made = [tool(str(number)) for number in range(kinds.ROWS_CACHED_MAX + 2)]
    for row in made:
        rows.add(row.tool_id, row)

    rows.settle()

    assert rows.get(made[0].tool_id) is None
    assert rows.get(made[1].tool_id) is None
    assert rows.get(made[2].tool_id) is made[2]


def test_rows_that_are_done_are_forgotten_at_once() -> None:
    rows, row = keyed(), tool("old")
    row.available = False
    rows.add(row.tool_id, row)

    rows.settle()

    assert rows.get(row.tool_id) is None


def test_a_row_that_is_not_complete_stays_when_the_others_are_taken() -> None:
    rows, first, last = keyed(), tool("first"), tool("last")
    rows.add(first.tool_id, first)
    rows.add(last.tool_id, last)

    taken = rows.take(but=last.tool_id)

    assert [record[0] for record in taken] == ["first"]
    assert [record[0] for record in rows.take()] == ["last"]


def test_sums_of_pages_add_up() -> None:
    page, total = Sums(job_counters), Sums(job_counters)
    for amount in (1, -1, 1):
        page.add(("acme", "no-op", "queued"), amount)
        total.merge(page.take())

    assert total.take() == [("acme", "no-op", "queued", 1)]
