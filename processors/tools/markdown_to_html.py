"""Turns Markdown into HTML that can be shown anywhere."""

from typing import ClassVar

from pydantic import Field

from processors.tools.base import MIB, BaseTool, Comparison, ToolInput, ToolLimits, ToolResult
from processors.tools.markdown import INPUT_FORMATS, MarkdownOptions

HTML = "text/html"


class MarkdownToHtmlOptions(MarkdownOptions):
    """What comes out."""

    standalone: bool = Field(
        default=True,
        title="Whole page",
        description="Make a page with a title and plain styles; if not, only what stands in it.",
    )
    images: bool = Field(
        default=True,
        title="Images",
        description="Keep references to images on the web; nothing is fetched either way.",
    )


class MarkdownToHtml(BaseTool[MarkdownToHtmlOptions]):
    """Scripts, styles, forms and links to files are taken out."""

    name = "markdown-to-html"
    description = "Converts Markdown to clean HTML, without scripts."
    version = "1.0.0"
    group = "documents"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = [HTML]
    limits = ToolLimits(memory_bytes=1024 * MIB)
    modules = ("markdown_it", "nh3", "processors.tools.markdown_html")
    compares_with = (
        Comparison(
            "pandoc",
            "pandoc --standalone -f gfm in.md -o out.html",
            (
                "Scripts, event handlers and dangerous links are removed; pandoc keeps them.",
                "The encoding is found out; pandoc takes UTF-8 only.",
                "pandoc knows footnotes, citations and many other formats: document-converter.",
            ),
        ),
    )
    Options = MarkdownToHtmlOptions

    async def process(self, input_data: ToolInput, options: MarkdownToHtmlOptions) -> ToolResult:
        """Convert the one text."""
        from processors.tools.markdown_html import converted

        return converted(input_data, options)
