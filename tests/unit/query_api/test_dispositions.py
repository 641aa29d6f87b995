"""A file name in a header is harmless, and comes out as it was."""

import re
from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.dispositions import attachment


def test_a_plain_name_stands_as_it_is() -> None:
    assert attachment("photo 1.webp") == 'attachment; filename="photo 1.webp"'


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Grüße.webp", "Gr__e.webp"),
        ('a"b\\c.txt', "a_b_c.txt"),
        ("x\r\nSet-Cookie: a=b", "x__Set-Cookie_ a=b"),
        ("100%41.txt", "100_41.txt"),
        ("照片", "__"),
        ("\x00", "_"),
        ("", "result"),
    ],
)
def test_what_is_not_plain_has_two_forms(name: str, plain: str) -> None:
    header = attachment(name)

    assert header.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
    assert unquote(header.rpartition("''")[2]) == name


@given(st.text())
def test_no_name_breaks_out_of_the_header(name: str) -> None:
    header = attachment(name)

    assert re.fullmatch(r"[\x20-\x7e]*", header)
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"
