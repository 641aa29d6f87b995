"""Puts PDF documents one behind the other."""

from typing import ClassVar

from pydantic import Field

from processors.tools.base import (
    BaseTool,
    Comparison,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.documents import PDF


class PdfMergerOptions(ToolOptions):
    """What the merged document has besides the pages."""

    bookmarks: bool = Field(
        default=True,
        title="Bookmarks",
        description="Keep the bookmarks of the documents, under one for each document.",
    )


class PdfMerger(BaseTool[PdfMergerOptions]):
    """In the order in which the files are given; one file is merely written anew."""

    name = "pdf-merger"
    description = "Merges PDF documents into one, in the order given."
    version = "1.1.0"
    group = "pdf"
    input_formats: ClassVar[list[str]] = [PDF]
    output_formats: ClassVar[list[str]] = [PDF]
    limits = ToolLimits(inputs_max=50)
    modules = ("pikepdf", "processors.tools.pdf_merging")
    compares_with = (
        Comparison(
            "qpdf",
            "qpdf --empty --pages a.pdf b.pdf -- out.pdf",
            (
                "Bookmarks of all documents are kept, under one for each; qpdf keeps the first's.",
                "A document that was cut short is refused; qpdf repairs it and warns.",
                "qpdf can take ranges of pages while it merges; here pdf-splitter does that.",
            ),
        ),
    )
    Options = PdfMergerOptions

    async def process(self, input_data: ToolInput, options: PdfMergerOptions) -> ToolResult:
        """Merge all documents."""
        from processors.tools.pdf_merging import merged

        return merged(input_data, bookmarks=options.bookmarks)
