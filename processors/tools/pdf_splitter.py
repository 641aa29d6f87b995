"""Takes PDF documents apart."""

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
from processors.tools.documents import PAGES_MAX, PDF, pages_option

DOCUMENTS_MAX = 500


class PdfSplitterOptions(ToolOptions):
    """Where to cut."""

    pages: str = pages_option(
        "Such as 1-3,5,8- (to the end): each part of the list becomes a document. If left empty,"
        " the whole is cut by the number of pages."
    )
    every: int = Field(
        default=1,
        ge=1,
        le=PAGES_MAX,
        title="Pages a document",
        description="How many pages each document gets where no pages are named.",
        examples=[10],
        json_schema_extra={"unit": "pages"},
    )
    as_one: bool = Field(
        default=False,
        title="As one document",
        description="Put all pages that are named into one document instead.",
        examples=[True],
    )


class PdfSplitter(BaseTool[PdfSplitterOptions]):
    """Every document stands for itself, with what its pages use and no more."""

    name = "pdf-splitter"
    description = "Cuts a PDF into several, page by page or where it is told, or takes pages out."
    version = "1.1.0"
    input_formats: ClassVar[list[str]] = [PDF]
    output_formats: ClassVar[list[str]] = [PDF]
    # What pages share is in every document, so together they may be larger than the input.
    limits = ToolLimits(outputs_max=DOCUMENTS_MAX)
    group = "pdf"
    modules = ("pikepdf", "processors.tools.pdf_splitting")
    compares_with = (
        Comparison(
            "qpdf",
            "qpdf --split-pages in.pdf out-%d.pdf",
            (
                "`every` is `--split-pages=n`; `pages` with `as_one` is `--pages in.pdf 1-3,5 --`.",
                "Each part of a list can be a document of its own; qpdf needs a call for each.",
                "What no page of a document uses is left out of it, scripts and bookmarks too.",
            ),
        ),
    )
    Options = PdfSplitterOptions

    async def process(self, input_data: ToolInput, options: PdfSplitterOptions) -> ToolResult:
        """Split the one document."""
        from processors.tools.pdf_splitting import split

        return split(input_data, options.pages, options.every, as_one=options.as_one)
