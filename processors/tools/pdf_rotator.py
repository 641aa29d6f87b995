"""Turns pages of PDF documents."""

from typing import ClassVar, Literal

from pydantic import Field

from processors.tools.base import (
    BaseTool,
    Comparison,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.documents import PDF, pages_option


class PdfRotatorOptions(ToolOptions):
    """Which pages, and how far."""

    angle: Literal[90, 180, 270] = Field(
        default=90,
        title="Angle",
        description="Clockwise, on top of how a page is turned already.",
        examples=[180],
        json_schema_extra={"unit": "degrees"},
    )
    pages: str = pages_option("Such as 1-3,5,8- (to the end); all if left empty.")


class PdfRotator(BaseTool[PdfRotatorOptions]):
    """Nothing of a page is drawn anew; it only says which way is up."""

    name = "pdf-rotator"
    description = "Turns pages of a PDF by 90, 180 or 270 degrees."
    version = "1.1.0"
    input_formats: ClassVar[list[str]] = [PDF]
    output_formats: ClassVar[list[str]] = [PDF]
    limits = ToolLimits()
    group = "pdf"
    modules = ("pikepdf", "processors.tools.pdf_documents", "processors.tools.pdf_active")
    compares_with = (
        Comparison(
            "qpdf",
            "qpdf --rotate=+90:1-z in.pdf out.pdf",
            (
                "Both turn relative to how a page is turned already, without loss.",
                "qpdf can also set an angle whatever it was before (`--rotate=90`).",
                "A signature that the change breaks is said in a note.",
            ),
        ),
    )
    Options = PdfRotatorOptions

    async def process(self, input_data: ToolInput, options: PdfRotatorOptions) -> ToolResult:
        """Turn pages of the one document."""
        from processors.tools.documents import page_indexes
        from processors.tools.pdf_active import active_notes
        from processors.tools.pdf_documents import document_of, rewriting_losses, saved

        with document_of(input_data) as document:
            # A page that is named twice is still turned once.
            for index in set(page_indexes(options.pages, len(document.pages))):
                document.pages[index].rotate(options.angle, relative=True)
            notes = (*rewriting_losses(document), *active_notes(document))
            return ToolResult((saved(document, input_data),), notes)
