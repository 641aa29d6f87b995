"""A cursor goes back to where it came from, and to no other query."""

import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.cursors import CURSOR_CHARACTERS_MAX, Cursor
from query_api.errors import InvalidCursor


@given(st.datetimes(timezones=st.just(UTC)), st.uuids(), st.text())
def test_a_cursor_comes_back_as_it_was(created_at: datetime, job_id: UUID, query: str) -> None:
    cursor = Cursor(created_at, job_id)

    text = cursor.encode(query)

    assert Cursor.decode(text, query) == cursor
    assert len(text) <= CURSOR_CHARACTERS_MAX


def test_a_cursor_of_another_query_is_refused() -> None:
    text = Cursor(datetime(2026, 1, 1, tzinfo=UTC), UUID(int=7)).encode("status=queued")

    with pytest.raises(InvalidCursor):
        Cursor.decode(text, "status=failed")


@given(st.text(max_size=CURSOR_CHARACTERS_MAX))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        Cursor.decode(text, "")


@pytest.mark.parametrize(
    "json",
    [b"1", b"[]", b'["2026-01-01T00:00:00",1,2]', b"{}", b'[null,null,"e3b0c44298fc"]'],
)
def test_json_that_is_no_cursor_is_refused(json: bytes) -> None:
    with pytest.raises(InvalidCursor):
        Cursor.decode(base64.urlsafe_b64encode(json).decode(), "")
