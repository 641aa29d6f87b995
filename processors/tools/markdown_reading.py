"""Parses Markdown with markdown-it. Importing this imports it."""

from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from processors.tools.markdown import TITLE_LENGTH_MAX


def parser() -> MarkdownIt:
    """CommonMark, with the tables and the struck words that everybody uses."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def first_heading(tokens: list[Token]) -> str | None:
    """The text of the first heading, if there is one."""
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            text = "".join(_texts(tokens[index + 1])).strip()
            return text[:TITLE_LENGTH_MAX] or None
    return None


def _texts(token: Token) -> Iterator[str]:
    for child in token.children or []:
        if child.type in ("text", "code_inline"):
            yield child.content
        elif child.type in ("softbreak", "hardbreak"):
            yield " "
