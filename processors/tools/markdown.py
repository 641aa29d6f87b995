"""Reads Markdown: what the tools that start from it share."""

from typing import Literal

from pydantic import Field

from processors.tools.base import CorruptFile, InputFile, ResourceLimitExceeded, ToolOptions
from processors.tools.table_reading import open_text

INPUT_FORMATS: list[str] = ["text/markdown", "text/x-markdown", "text/plain", "text/html"]
"""libmagic takes a Markdown that begins with a tag for HTML."""
TITLE_LENGTH_MAX = 200
Encoding = Literal["detect", "utf-8", "utf-16", "windows-1252"]


class MarkdownOptions(ToolOptions):
    """How a Markdown is read."""

    title: str | None = Field(
        default=None,
        min_length=1,
        max_length=TITLE_LENGTH_MAX,
        title="Title",
        description="Of the document; if unset, its first heading.",
        examples=["Annual report"],
    )
    encoding: Encoding = Field(
        default="detect", title="Encoding", description="Of the file that is read."
    )


def markdown_of(file: InputFile, encoding: Encoding, bytes_max: int, notes: list[str]) -> str:
    """The text of a Markdown; raises ResourceLimitExceeded where it is too long."""
    if file.size_bytes > bytes_max:
        raise ResourceLimitExceeded(f"The text is longer than {bytes_max} bytes.")
    with open_text(file.path, None if encoding == "detect" else encoding, notes) as stream:
        text = stream.read()
    if "\0" in text:
        raise CorruptFile("The text holds a NUL.")
    return text
