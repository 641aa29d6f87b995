"""Turns Word documents into Markdown."""

from typing import ClassVar

from pydantic import Field

from processors.tools.base import (
    MIB,
    BaseTool,
    Comparison,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.office_files import DOCX

IMAGES_MAX = 200
IMAGE_TYPES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/tiff": ".tiff",
    "image/bmp": ".bmp",
    "image/webp": ".webp",
}
MARKDOWN = "text/markdown"


class DocxToMarkdownOptions(ToolOptions):
    """What comes along."""

    images: bool = Field(
        default=True,
        title="Images",
        description="Give the images of the document as outputs, too; if not, they are left out.",
    )


class DocxToMarkdown(BaseTool[DocxToMarkdownOptions]):
    """What a paragraph is counts, not what it looks like: styles become headings and lists."""

    name = "docx-to-markdown"
    description = "Converts a Word document (DOCX) to Markdown, with its images beside it."
    version = "1.0.0"
    group = "documents"
    input_formats: ClassVar[list[str]] = [DOCX, "application/zip"]
    output_formats: ClassVar[list[str]] = [MARKDOWN, *IMAGE_TYPES]
    limits = ToolLimits(memory_bytes=1024 * MIB, outputs_max=1 + IMAGES_MAX)
    modules = ("mammoth", "markdownify", "processors.tools.docx_markdown")
    extra = "docs"
    compares_with = (
        Comparison(
            "pandoc",
            "pandoc --extract-media=. -t gfm in.docx -o out.md",
            (
                "Both go by the styles of paragraphs, and leave fonts and colours behind.",
                "A document that unpacks to far more than its size is refused.",
                "pandoc keeps footnotes and mathematics better, and can track changes.",
            ),
        ),
    )
    Options = DocxToMarkdownOptions

    async def process(self, input_data: ToolInput, options: DocxToMarkdownOptions) -> ToolResult:
        """Convert the one document."""
        from processors.tools.docx_markdown import converted

        return converted(input_data, with_images=options.images)
