"""Entity tags and conditional requests."""

import pytest
from starlette.requests import Request

from infrastructure.http.etag import etag_of, matches, not_modified


def request_with(*if_none_match: str) -> Request:
    headers = [(b"if-none-match", value.encode()) for value in if_none_match]
    return Request({"type": "http", "headers": headers})


def test_a_tag_depends_on_every_part_and_on_where_it_ends() -> None:
    tags = {etag_of("ab", "c"), etag_of("a", "bc"), etag_of("abc"), etag_of("abc", ""), etag_of()}

    assert len(tags) == 5
    assert etag_of("ab", 1) == etag_of(b"ab", "1")


def test_a_tag_is_strong_and_quoted() -> None:
    assert etag_of("x").startswith('"')
    assert etag_of("x").endswith('"')


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ((), False),
        (('"x"',), False),
        (("*",), True),
        (("TAG",), True),
        (('W/"a", TAG',), True),
        (("W/TAG",), True),
        (('"x"', "TAG"), True),
        (("TAGx",), False),
    ],
)
def test_a_caller_says_what_it_has(headers: tuple[str, ...], known: bool) -> None:
    tag = etag_of("row", 7)

    assert matches(request_with(*(h.replace("TAG", tag) for h in headers)), tag) is known


def test_not_modified_repeats_the_headers_and_has_no_body() -> None:
    reply = not_modified(etag_of("x"), "private, max-age=60")

    assert (reply.status_code, reply.body) == (304, b"")
    assert reply.headers["etag"] == etag_of("x")
    assert reply.headers["cache-control"] == "private, max-age=60"
    assert "content-type" not in reply.headers
