"""Names that people give to files, made fit to be shown."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.filenames import FILENAME_BYTES_MAX, clean_filename


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\photo.jpg", "photo.jpg"),
        ("a/b\\c/d.txt", "d.txt"),
        ("..", "file"),
        ("/", "file"),
        ("", "file"),
        (None, "file"),
        ("   ", "file"),
        (".bashrc", "bashrc"),
        ("a.", "a"),
        ("a . . ", "a"),
        ("a:b", "a_b"),
        ("a\x00b\r\nc\td.txt", "abcd.txt"),
        ("gnp.\u202egpj", "gnp.gpj"),
        ("zero\u200bwidth", "zerowidth"),
        ("e\u0301", "\u00e9"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("con/", "file"),
        ("console.txt", "console.txt"),
        ('<script>"x"|?*', "_script__x____"),
        ("\ud800.txt", "txt"),
        ("日本語.pdf", "日本語.pdf"),
        ("many   spaces.txt", "many spaces.txt"),
    ],
)
def test_names_are_cleaned(given_name: str | None, shown: str) -> None:
    assert clean_filename(given_name) == shown


def test_a_long_name_is_cut_and_keeps_its_ending() -> None:
    assert clean_filename("x" * 5_000 + ".jpeg") == "x" * 255
    assert clean_filename("x" * 300 + ".jpeg") == "x" * 250 + ".jpeg"
    assert clean_filename("日" * 200 + ".pdf") == "日" * 83 + ".pdf"


@given(st.text())
def test_a_cleaned_name_is_always_fit(name: str) -> None:
    shown = clean_filename(name)

    assert 0 < len(shown.encode()) <= FILENAME_BYTES_MAX
    assert not set(shown) & set('/\\<>:"|?*\x00')
    assert unicodedata.is_normalized("NFC", shown)
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown)
    assert shown not in (".", "..")
    assert clean_filename(shown) == shown
