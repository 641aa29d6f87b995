"""Looks over the YAML in a Markdown before pandoc reads it.

An alias stands for what its anchor names, and that may hold aliases as well: a kilobyte of them
stands for more than there is memory. What is not found here is left to the limits of the run.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from processors.tools.base import ResourceLimitExceeded

ALIASES_MAX: Final = 10
"""So many stand for at most forty times what is written, however they are nested."""
ALIASED_CHARACTERS_MAX: Final = 16 * 1024
"""How long a head may be that has any."""
ALIAS: Final = re.compile(r"\*([\w-]+)", re.ASCII)
ANCHOR: Final = re.compile(r"&([\w-]+)", re.ASCII)
BEGIN: Final = re.compile(r"(?:[^\w|]*[\s>])?---[ \t]*", re.ASCII)
"""A head may stand in a quotation or a definition."""
END: Final = re.compile(r"(?:---|\.\.\.)[ \t]*")


def check_heads(text: str) -> None:
    """Refuse a Markdown whose head has more aliases than anybody needs."""
    anchors: set[str] = set()
    aliases: Counter[str] = Counter()
    length = 0
    for line in _lines_of_heads(text):
        anchors.update(ANCHOR.findall(line))
        aliases.update(ALIAS.findall(line))
        length += len(line)
    # In a text, an asterisk or an ampersand may stand before anything.
    count = sum(aliases[name] for name in anchors)
    if count > ALIASES_MAX:
        raise ResourceLimitExceeded(
            f"The head of the document has more than {ALIASES_MAX} aliases."
        )
    if count and length > ALIASED_CHARACTERS_MAX:
        raise ResourceLimitExceeded("The head of the document is too long to have aliases.")


def _lines_of_heads(text: str) -> Iterator[str]:
    """The lines that pandoc may take for YAML, wherever in the text they stand."""
    is_within, before = False, ""
    lines = text.splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if is_within:
            yield line
        if after.strip() and BEGIN.fullmatch(line) and (is_within or _may_precede(before)):
            is_within = True
        elif END.fullmatch(line):
            is_within = False
        before = line


def _may_precede(line: str) -> bool:
    """Whether a head may follow: not where the dashes underline a heading."""
    return not re.search(r"\w", line) or line.rstrip().endswith(">")
