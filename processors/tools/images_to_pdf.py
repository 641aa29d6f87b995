"""Puts pictures on the pages of a PDF document."""

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
from processors.tools.documents import PDF
from processors.tools.options import option
from processors.tools.picture_formats import INPUT_FORMATS

PageSize = Literal["picture", "a3", "a4", "a5", "letter", "legal"]


class ImagesToPdfOptions(ToolOptions):
    """How pictures lie on their pages."""

    page_size: PageSize = option(
        "picture",
        title="Page size",
        description="As large as the picture, or a sheet of paper on which the picture becomes as"
        " large as fits; the sheet is turned as the picture lies.",
        examples=["a4"],
    )
    margin: float = option(
        0,
        title="Margin",
        description="Left free on each side of a page.",
        examples=[10],
        unit="mm",
        ge=0,
        le=50,
    )
    dpi: int = option(
        150,
        title="Resolution",
        description="How many pixels make an inch of a page that is as large as its picture.",
        examples=[300],
        unit="pixels per inch",
        ge=36,
        le=1_200,
    )


class ImagesToPdf(BaseTool[ImagesToPdfOptions]):
    """A JPEG is put in as it is, whichever way it is turned; all others without loss."""

    name = "images-to-pdf"
    description = "Makes one PDF of pictures, one on each page, in the order given."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = [PDF]
    # One picture of 64 million pixels at a time, twice, besides all of the document.
    limits = ToolLimits(wall_seconds=300.0, cpu_seconds=240, memory_bytes=2048 * MIB, inputs_max=50)
    group = "pdf"
    modules = ("pikepdf", "PIL", "processors.tools.pdf_picturing")
    compares_with = (
        Comparison(
            "img2pdf",
            "img2pdf --output out.pdf a.jpg b.png",
            (
                "Both put a JPEG in without encoding it anew; this takes its metadata off first.",
                "Pictures with transparency keep it; img2pdf refuses most of them.",
                "A page is as large as its picture at 150 pixels an inch; img2pdf believes the"
                " file's own resolution, or takes 96.",
                "img2pdf can also keep CCITT and JPEG 2000 streams and set every box of a page.",
            ),
        ),
    )
    Options = ImagesToPdfOptions

    async def process(self, input_data: ToolInput, options: ImagesToPdfOptions) -> ToolResult:
        """Put all pictures on pages."""
        from processors.tools.pdf_picturing import pictured

        return pictured(input_data, options)
