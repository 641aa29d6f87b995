"""Turns the pages of PDF documents into pictures."""

from typing import ClassVar, Literal

from processors.tools.base import (
    MIB,
    BaseTool,
    Comparison,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.documents import PDF, pages_option
from processors.tools.options import NO_UNIT, option
from processors.tools.picture_formats import FORMATS

PAGES_AT_ONCE_MAX = 200
PageFormat = Literal["png", "jpeg", "webp"]


class PdfToImagesOptions(ToolOptions):
    """Which pages, and how they are drawn."""

    pages: str = pages_option("Such as 1-3,5,8- (to the end); all if left empty.")
    dpi: int = option(
        150,
        title="Resolution",
        description="Pixels for each inch of the page; 72 is its size on a screen, 300 on paper.",
        examples=[300],
        unit="pixels per inch",
        ge=36,
        le=600,
    )
    output_format: PageFormat = option(
        "png",
        title="Output format",
        description="The format of the pictures.",
        examples=["jpeg"],
    )
    quality: int = option(
        85,
        title="Quality",
        description="1 (small) to 100 (faithful), for JPEG and WebP.",
        examples=[60],
        unit=NO_UNIT,
        ge=1,
        le=100,
    )


class PdfToImages(BaseTool[PdfToImagesOptions]):
    """As a viewer shows them, on white; scripts of the document are not run."""

    name = "pdf-to-images"
    description = "Draws the pages of a PDF as PNG, JPEG or WebP pictures, one for each page."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = [PDF]
    output_formats: ClassVar[list[str]] = [
        FORMATS[name].media_type for name in ("png", "jpeg", "webp")
    ]
    # A page of 64 million pixels is held twice; 200 pages take minutes on one processor.
    limits = ToolLimits(
        wall_seconds=600.0,
        cpu_seconds=480,
        memory_bytes=2048 * MIB,
        outputs_max=PAGES_AT_ONCE_MAX,
    )
    group = "pdf"
    modules = ("pypdfium2", "PIL", "processors.tools.pdf_drawing")
    compares_with = (
        Comparison(
            "poppler",
            "pdftoppm -r 150 -png in.pdf out",
            (
                "PDFium draws here, as in Chromium; poppler's own renderer differs in details.",
                "Any list of pages may be drawn; pdftoppm takes one range.",
                "A page that would be too large is refused before it is drawn.",
                "pdftoppm also writes TIFF and can cut out a part of a page.",
            ),
        ),
    )
    Options = PdfToImagesOptions

    async def process(self, input_data: ToolInput, options: PdfToImagesOptions) -> ToolResult:
        """Draw pages of the one document."""
        from processors.tools.pdf_drawing import drawn

        return drawn(input_data, options)
