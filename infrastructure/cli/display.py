"""Shows answers: as JSON for programs, as lines and tables for people.

A row is one line, however wide, so that `grep` and `awk` can work on it too.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

GAP = "  "


def show_json(answer: Any) -> None:
    """The answer as it came, for programs."""
    print(json.dumps(answer, indent=2))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns side by side; the last one is as wide as it is."""
    lines = [tuple(columns), *(tuple(_word(value) for value in row) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        print(GAP.join(cells).rstrip())


def show_fields(fields: Mapping[str, object]) -> None:
    """Names and values, one a line; those without a value are left out."""
    shown = {name: value for name, value in fields.items() if value not in (None, "", [], {})}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        print(f"{name:<{width}}{GAP}{_word(value)}")


def say(text: str) -> None:
    """Something for people only, beside the answer."""
    print(printable(text), file=sys.stderr, flush=True)


def to_the_second(time: str | None) -> str | None:
    """A time of the APIs as people read it: `2026-11-25 22:14:03`, in UTC."""
    return time[:19].replace("T", " ") if time else None


def printable(text: str) -> str:
    """Text of others without what could steer a terminal or break a line."""
    return "".join(each if each.isprintable() else "�" for each in text)


def _word(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_word(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={_word(each)}" for name, each in value.items())
    return printable(str(value))
