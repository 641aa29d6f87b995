"""A file in base64 inside a JSON object, however the object is cut into chunks."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.http.base64_body import REST_BYTES_MAX, Base64Reader
from infrastructure.http.problems import Problem

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["file_data", "a", "ü", '"', "\\"]), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(max_size=10).filter(lambda name: name != "file_data")


def read(body: bytes, cuts: list[int]) -> tuple[bytes, Any]:
    reader = Base64Reader()
    content, at = b"", 0
    for cut in [*sorted(c % (len(body) + 1) for c in cuts), len(body)]:
        content += reader.feed(body[at:cut])
        at = max(at, cut)
    return content, reader.finish()


def outcome(body: bytes, cuts: list[int]) -> str:
    try:
        read(body, cuts)
    except Problem as problem:
        return problem.code
    return "read"


@settings(max_examples=150)
@given(
    content=st.binary(max_size=200),
    before=st.dictionaries(NAMES, JSON_VALUES, max_size=3),
    after=st.dictionaries(NAMES, JSON_VALUES, max_size=3),
    ascii_only=st.booleans(),
    indent=st.none() | st.integers(0, 2),
    cuts=st.lists(st.integers(0, 2_000), max_size=12),
)
def test_file_and_rest_come_apart(
    content: bytes,
    before: dict[str, Any],
    after: dict[str, Any],
    ascii_only: bool,
    indent: int | None,
    cuts: list[int],
) -> None:
    members = {**before, "file_data": base64.b64encode(content).decode(), **after}
    body = json.dumps(members, ensure_ascii=ascii_only, indent=indent).encode()

    assert read(body, cuts) == (content, {**before, **after})


@given(st.binary(max_size=300), st.integers(1, 80), st.lists(st.integers(0, 999), max_size=8))
def test_line_breaks_and_escaped_slashes_are_part_of_base64(
    content: bytes, width: int, cuts: list[int]
) -> None:
    encoded = base64.b64encode(content).decode().replace("/", "\\/")
    lines = "\\r\\n".join(encoded[at : at + width] for at in range(0, len(encoded), width))
    if "\\\\" in lines or lines.replace("\\/", "").replace("\\r\\n", "").count("\\"):
        # The width cut an escape in two.
        return

    assert read(f'{{"file_data": "{lines}"}}'.encode(), cuts)[0] == content


@settings(max_examples=300)
@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_any_bytes_are_read_or_refused(body: bytes, cuts: list[int]) -> None:
    assert outcome(body, cuts) in ("read", "BAD_JSON", "INVALID_BASE64")


def test_the_rest_is_bounded_however_it_comes() -> None:
    reader = Base64Reader()

    for _ in range(REST_BYTES_MAX // 64):
        reader.feed(b" " * 64)
    with pytest.raises(Problem, match="JSON object"):
        reader.feed(b" ")


def test_an_escaped_name_is_the_same_name() -> None:
    assert read(b'{"\\u0066ile_data": "AAAA"}', []) == (b"\0\0\0", {})


def test_a_value_that_reads_like_the_name_is_no_name() -> None:
    body = b'{"a": "file_data", "b": ["file_data", "AAAA"], "file_data": "AAAA"}'

    content, rest = read(body, [])

    assert content == b"\0\0\0"
    assert rest == {"a": "file_data", "b": ["file_data", "AAAA"]}
