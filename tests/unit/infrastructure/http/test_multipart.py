"""Multipart bodies, however they are cut into chunks."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.http.multipart import (
    PARTS_MAX,
    MultipartReader,
    PartBegan,
    PartBytes,
)
from infrastructure.http.problems import Problem

BOUNDARY = "b0undary"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class Part:
    name: str
    filename: str | None
    content: bytes


LETTERS = st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters='"\\;')
NAMES = st.text(LETTERS, min_size=1, max_size=20)
NASTY = st.sampled_from([b"\r\n--", b"\r\n--b0undar", b"--b0undar", b"\r", b"\n", b"\r\n\r\n"])
CONTENTS = (
    st.lists(st.binary(max_size=30) | NASTY, max_size=6)
    .map(b"".join)
    .filter(
        # What holds the boundary itself ends there, in every parser.
        lambda content: b"\r\n--b0undary"
        not in b"\r\n" + content
    )
)
PARTS = st.lists(st.builds(Part, NAMES, st.none() | NAMES, CONTENTS), min_size=1, max_size=4)


def body_of(parts: list[Part]) -> bytes:
    written = b""
    for part in parts:
        filename = "" if part.filename is None else f'; filename="{part.filename}"'
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{part.name}"{filename}'
        written += head.encode() + b"\r\n\r\n" + part.content + b"\r\n"
    return written + f"--{BOUNDARY}--\r\n".encode()


def read(body: bytes, cuts: list[int]) -> list[Part]:
    reader, found, at = MultipartReader(CONTENT_TYPE), [], 0
    name, filename, content = "", None, b""
    for cut in [*sorted(c % (len(body) + 1) for c in cuts), len(body)]:
        for event in reader.feed(body[at:cut]):
            if isinstance(event, PartBegan):
                name, filename, content = event.name, event.filename, b""
            elif isinstance(event, PartBytes):
                content += event.content
            else:
                found.append(Part(name, filename, content))
        at = max(at, cut)
    reader.finish()
    return found


@settings(max_examples=150)
@given(PARTS, st.lists(st.integers(0, 1_000), max_size=12))
def test_parts_come_out_as_they_went_in(parts: list[Part], cuts: list[int]) -> None:
    assert read(body_of(parts), cuts) == parts


@settings(max_examples=300)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_anything_else_is_refused_and_nothing_else_happens(body: bytes, cuts: list[int]) -> None:
    with pytest.raises(Problem) as refused:
        read(body, cuts)

    assert refused.value.code == "BAD_MULTIPART"


@given(PARTS, st.data())
def test_a_body_that_is_cut_short_is_refused(parts: list[Part], data: st.DataObject) -> None:
    body = body_of(parts)
    # The last four bytes are the dashes and the line's end after the last boundary.
    kept = data.draw(st.integers(0, len(body) - 4))

    with pytest.raises(Problem):
        read(body[:kept], [])


def test_parts_are_counted() -> None:
    part = Part("a", None, b"")

    assert len(read(body_of([part] * PARTS_MAX), [])) == PARTS_MAX
    with pytest.raises(Problem, match="too many parts"):
        read(body_of([part] * (PARTS_MAX + 1)), [])


@pytest.mark.parametrize(
    "content_type",
    ["", "multipart/form-data", "multipart/mixed; boundary=b", "application/json",
     "multipart/form-data; boundary=", f"multipart/form-data; boundary={'b' * 300}"],
)  # fmt: skip
def test_a_boundary_is_needed(content_type: str) -> None:
    with pytest.raises(Problem) as refused:
        MultipartReader(content_type)

    assert refused.value.code == "BAD_MULTIPART"
