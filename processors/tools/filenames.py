"""Names of output files, made from names that owners gave to their inputs.

What comes out can be shown, sent in a header and saved on any system. It is still no path.
"""

import unicodedata
from collections.abc import Sequence

from processors.tools.base import InputFile

NAME_BYTES_MAX = 255
SUFFIX_BYTES_MAX = 32
FORBIDDEN = frozenset('<>:"/\\|?*')
RESERVED = frozenset(
    ["CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))]
)
FALLBACK = "file"


def output_name(files: Sequence[InputFile], suffix: str) -> str:
    """The first input's name with another suffix: `photo.jpg` becomes `photo.webp`."""
    return f"{clean_stem(files[0].filename if files else FALLBACK)}{suffix}"


def clean_stem(filename: str) -> str:
    """A name without its folder and its suffix, short enough to take a new one."""
    name = clean_name(filename)
    stem, dot, suffix = name.rpartition(".")
    is_suffix = dot and stem and len(suffix.encode()) < SUFFIX_BYTES_MAX
    return _cut(stem if is_suffix else name, NAME_BYTES_MAX - SUFFIX_BYTES_MAX)


def clean_name(filename: str) -> str:
    """A name that is safe to show: no folder, no control or direction marks, of bounded length."""
    base = filename.replace("\\", "/").rpartition("/")[2]
    shown = "".join(character for character in base if _is_shown(character))
    name = _cut(unicodedata.normalize("NFC", shown).strip(". \t"), NAME_BYTES_MAX) or FALLBACK
    return f"_{name}" if name.partition(".")[0].strip().upper() in RESERVED else name


def unique_name(name: str, taken: set[str]) -> str:
    """A name that no other one equals on any system; it counts as taken from now on."""
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode()) >= SUFFIX_BYTES_MAX:
        stem, dot, suffix = name, "", ""
    unique, count = name, 1
    while unique.casefold() in taken:
        count += 1
        unique = f"{_cut(stem, NAME_BYTES_MAX - 2 * SUFFIX_BYTES_MAX)} ({count}){dot}{suffix}"
    taken.add(unique.casefold())
    return unique


def _is_shown(character: str) -> bool:
    # Categories C and Zl, Zp: controls, direction and zero-width marks, surrogates, line ends.
    category = unicodedata.category(character)
    return category[0] != "C" and category not in ("Zl", "Zp") and character not in FORBIDDEN


def _cut(name: str, bytes_max: int) -> str:
    return name.encode()[:bytes_max].decode(errors="ignore").rstrip(". ")
