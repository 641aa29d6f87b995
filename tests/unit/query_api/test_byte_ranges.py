"""Which part of a file a Range header asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.http.problems import Problem
from query_api.byte_ranges import ByteRange, requested_range

SIZE = 100


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 100),
        ("bytes=99-", 99, 100),
        ("bytes=10-19", 10, 20),
        ("bytes=10-1000000", 10, 100),
        ("bytes=-1", 99, 100),
        ("bytes=-1000", 0, 100),
        ("bytes= 5 - 6 ", 5, 7),
    ],
)
def test_one_range_is_read(header: str, start: int, end: int) -> None:
    assert requested_range(header, SIZE) == ByteRange(start, end)


@pytest.mark.parametrize(
    "header",
    [None, "", "bytes=", "bytes=-", "items=0-1", "bytes=0-1,5-6", "bytes=a-b", "bytes=9-3"],
)
def test_what_is_no_single_range_gives_all(header: str | None) -> None:
    assert requested_range(header, SIZE) is None


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0)]
)
def test_a_range_behind_the_end_is_refused_with_the_size(header: str, size: int) -> None:
    with pytest.raises(Problem) as refused:
        requested_range(header, size)

    assert refused.value.status_code == 416
    assert dict(refused.value.headers or {}) == {"Content-Range": f"bytes */{size}"}


@given(st.text(), st.integers(min_value=0, max_value=10**6))
def test_a_range_always_lies_within_the_file(header: str, size: int) -> None:
    try:
        found = requested_range(header, size)
    except Problem:
        return

    assert found is None or 0 <= found.start < found.end <= size
