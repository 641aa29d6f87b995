"""Names of outputs, from names that strangers chose."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.tools.filenames import NAME_BYTES_MAX, clean_name, clean_stem


@pytest.mark.parametrize(
    ("given_name", "cleaned"),
    [
        ("photo.jpg", "photo.jpg"),
        ("Übung 1 (final).pdf", "Übung 1 (final).pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.txt", "a.txt"),
        ("a:b?.txt", "ab.txt"),
        ("line\nbreak\r\0.txt", "linebreak.txt"),
        ("evil\u202egpj.exe", "evilgpj.exe"),
        ("zero\u200bwidth.txt", "zerowidth.txt"),
        ("U\u0308bung.txt", "Übung.txt"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("a.", "a"),
        (".bashrc", "bashrc"),
        ("..", "file"),
        ("", "file"),
        ("   ", "file"),
    ],
)
def test_a_name_is_cleaned(given_name: str, cleaned: str) -> None:
    assert clean_name(given_name) == cleaned


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("photo.jpg", "photo"),
        ("archive.tar.gz", "archive.tar"),
        ("no suffix", "no suffix"),
        ("a. long sentence that is no suffix at all, honestly", None),
        ("x" * 5_000, "x" * 223),
    ],
)
def test_a_stem_leaves_room_for_a_suffix(name: str, stem: str | None) -> None:
    assert clean_stem(name) == (stem or name)


@given(st.text(max_size=400))
def test_a_clean_name_is_safe_and_stays_as_it_is(name: str) -> None:
    cleaned = clean_name(name)

    assert cleaned
    assert clean_name(cleaned) == cleaned
    assert len(cleaned.encode()) <= NAME_BYTES_MAX + 1
    assert not set(cleaned) & set('/\\:*?"<>|')
    assert all(unicodedata.category(character)[0] != "C" for character in cleaned)


@given(st.text(max_size=400))
def test_a_stem_with_any_suffix_is_a_clean_name(name: str) -> None:
    output = f"{clean_stem(name)}.webp"

    assert clean_name(output) == output
