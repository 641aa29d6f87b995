"""Turns Markdown into a PDF."""

from typing import ClassVar, Literal

from pydantic import Field

from processors.tools.base import MIB, BaseTool, Comparison, ToolInput, ToolLimits, ToolResult
from processors.tools.documents import PDF
from processors.tools.markdown import INPUT_FORMATS, MarkdownOptions


class MarkdownToPdfOptions(MarkdownOptions):
    """What the pages look like."""

    paper: Literal["a4", "a5", "us-letter", "us-legal"] = Field(
        default="a4", title="Paper", description="The size of the pages."
    )
    margin: int = Field(
        default=25,
        ge=5,
        le=60,
        title="Margin",
        description="On all four sides.",
        examples=[15],
        json_schema_extra={"unit": "millimetres"},
    )
    font_size: int = Field(
        default=11,
        ge=6,
        le=24,
        title="Font size",
        description="Of plain text.",
        examples=[12],
        json_schema_extra={"unit": "points"},
    )
    page_numbers: bool = Field(
        default=True, title="Page numbers", description="At the foot of each page."
    )
    contents: bool = Field(
        default=False, title="Contents", description="A table of contents before the text."
    )


class MarkdownToPdf(BaseTool[MarkdownToPdfOptions]):
    """Set by Typst, with its own fonts; nothing is read but the text itself."""

    name = "markdown-to-pdf"
    description = "Converts Markdown to a PDF with headings, lists, tables, code and links."
    version = "1.0.0"
    group = "documents"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = [PDF]
    limits = ToolLimits(memory_bytes=1024 * MIB)
    modules = ("markdown_it", "typst", "processors.tools.markdown_typst")
    extra = "docs"
    compares_with = (
        Comparison(
            "pandoc",
            "pandoc -f gfm in.md -o out.pdf",
            (
                "Needs no TeX; pandoc calls one, of some hundred megabytes.",
                "Images and raw HTML are left out and counted; pandoc fetches images.",
                "pandoc takes templates, citations and mathematics.",
            ),
        ),
    )
    Options = MarkdownToPdfOptions

    async def process(self, input_data: ToolInput, options: MarkdownToPdfOptions) -> ToolResult:
        """Set the one text."""
        from processors.tools.markdown_typst import converted

        return converted(input_data, options)
