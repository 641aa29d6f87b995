"""Makes PDF documents smaller."""

from typing import ClassVar, Literal

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
from processors.tools.documents import PDF


class PdfCompressorOptions(ToolOptions):
    """What may be given up for a smaller file."""

    images: Literal["keep", "recompress"] = Field(
        default="keep",
        title="Pictures",
        description="Keep every pixel, or write the pictures anew as JPEG, which shrinks scans.",
        examples=["recompress"],
    )
    quality: int = Field(
        default=70,
        ge=1,
        le=100,
        title="Quality",
        description="Of the pictures that are written anew: 1 (small) to 100 (faithful).",
        examples=[50],
        json_schema_extra={"unit": ""},
    )
    longest_side: int | None = Field(
        default=None,
        ge=16,
        le=20_000,
        title="Longest side",
        description="Pictures that are written anew become no longer; if unset, as they are.",
        examples=[1_600],
        json_schema_extra={"unit": "pixels"},
    )


class PdfCompressor(BaseTool[PdfCompressorOptions]):
    """The smaller of the two: what it made, or what it was given."""

    name = "pdf-compressor"
    description = "Makes a PDF smaller: without loss, or with its pictures written anew."
    version = "1.1.0"
    input_formats: ClassVar[list[str]] = [PDF]
    output_formats: ClassVar[list[str]] = [PDF]
    # A picture of 64 million pixels is held twice while it is written anew.
    limits = ToolLimits(wall_seconds=300.0, cpu_seconds=240, memory_bytes=2048 * MIB)
    group = "pdf"
    modules = ("pikepdf", "PIL", "processors.tools.pdf_compressing")
    compares_with = (
        Comparison(
            "qpdf",
            "qpdf --recompress-flate --compression-level=9 --object-streams=generate in.pdf"
            " out.pdf",
            (
                "The result is never larger than the input; qpdf writes what comes out.",
                "What no page uses is left out too.",
            ),
        ),
        Comparison(
            "Ghostscript",
            "gs -sDEVICE=pdfwrite -dPDFSETTINGS=/ebook -o out.pdf in.pdf",
            (
                "Ghostscript draws every page anew: links, forms and tags may be lost; here all"
                " but the pictures stays as it is.",
                "Ghostscript shrinks pictures to a resolution on the page; here `longest_side`"
                " says how many pixels they keep.",
                "Ghostscript can cut fonts to what is used; this does not touch fonts.",
            ),
        ),
    )
    Options = PdfCompressorOptions

    async def process(self, input_data: ToolInput, options: PdfCompressorOptions) -> ToolResult:
        """Compress the one document."""
        from processors.tools.pdf_compressing import compressed

        return compressed(input_data, options)
