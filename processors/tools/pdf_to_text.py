"""Takes the text out of PDF documents."""

from typing import ClassVar

from processors.tools.base import (
    BaseTool,
    Comparison,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.documents import PDF, pages_option


class PdfToTextOptions(ToolOptions):
    """Which pages."""

    pages: str = pages_option("Such as 1-3,5,8- (to the end); all if left empty.")


class PdfToText(BaseTool[PdfToTextOptions]):
    """Text as the document holds it; a scan has none."""

    name = "pdf-to-text"
    description = "Takes the text out of a PDF; pages are separated by form feeds."
    version = "1.0.0"
    group = "pdf"
    input_formats: ClassVar[list[str]] = [PDF]
    output_formats: ClassVar[list[str]] = ["text/plain"]
    limits = ToolLimits()
    modules = ("pypdfium2", "processors.tools.pdf_text")
    compares_with = (
        Comparison(
            "poppler",
            "pdftotext in.pdf out.txt",
            (
                "Both part the pages by form feeds and write UTF-8.",
                "Any list of pages may be taken; pdftotext takes one range.",
                "pdftotext can keep the layout (`-layout`); this keeps the order of the text.",
            ),
        ),
    )
    Options = PdfToTextOptions

    async def process(self, input_data: ToolInput, options: PdfToTextOptions) -> ToolResult:
        """Extract the text of the one document."""
        from processors.tools.pdf_text import extracted

        return extracted(input_data, options.pages)
