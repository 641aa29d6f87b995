"""Cleans the name that somebody gave a file, so that it can be shown and sent back.

The result is only ever displayed: no file is stored under it. It is one line of normalised Unicode
without folders, controls or marks that change the reading order, at most 255 bytes long.
"""

import re
import unicodedata

FILENAME_BYTES_MAX = 255
NAMELESS = "file"

_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def clean_filename(name: str | None) -> str:
    """A name that is safe to display on any system; `file` where nothing is left of it."""
    # Cut first: what follows looks at every character.
    base = re.split(r"[/\\]", name or "")[-1][: 4 * FILENAME_BYTES_MAX]
    visible = "".join(c for c in base if unicodedata.category(c) not in _HIDDEN)
    normal = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", visible))
    trimmed = " ".join(normal.split()).strip(" .")
    if _RESERVED.match(trimmed):
        trimmed = f"_{trimmed}"
    return _shortened(trimmed) or NAMELESS


def _shortened(name: str) -> str:
    if len(name.encode()) <= FILENAME_BYTES_MAX:
        return name
    stem, dot, suffix = name.rpartition(".")
    ending = f"{dot}{suffix}" if stem and len(suffix.encode()) <= 16 else ""
    room = FILENAME_BYTES_MAX - len(ending.encode())
    stem = stem if ending else name
    return stem.encode()[:room].decode(errors="ignore").rstrip(" .") + ending
