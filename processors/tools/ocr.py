"""Reads the letters in pictures and scans."""

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
from processors.tools.options import option
from processors.tools.picture_formats import INPUT_FORMATS

PAGES_READ_MAX = 100


class OcrOptions(ToolOptions):
    """What to read, and what to make of it."""

    output_format: Literal["text", "pdf", "json"] = option(
        "text",
        title="Output format",
        description="text: the lines, with form feeds between pages; pdf: the pages as they are,"
        " with text that can be searched and copied; json: each line with its place.",
        examples=["pdf"],
    )
    pages: str = pages_option("Of a PDF, such as 1-3,5,8- (to the end); all if left empty.")
    dpi: int = option(
        200,
        title="Resolution",
        description="How finely the pages of a PDF are looked at; more helps with small letters.",
        examples=[300],
        unit="pixels per inch",
        ge=72,
        le=400,
    )
    confidence: int = option(
        50,
        title="Confidence",
        description="Lines that were read less surely are left out.",
        examples=[80],
        unit="percent",
        ge=0,
        le=100,
    )


class Ocr(BaseTool[OcrOptions]):
    """With models that come with the library; nothing is asked of any service."""

    name = "ocr"
    description = (
        "Reads the text in pictures and scanned PDFs: Latin letters with all accents, Chinese and"
        " Japanese. Makes text, JSON or a searchable PDF."
    )
    version = "1.1.0"
    input_formats: ClassVar[list[str]] = [*INPUT_FORMATS, PDF]
    output_formats: ClassVar[list[str]] = ["text/plain", "application/json", PDF]
    # A full page takes some ten seconds of one processor; the models alone take half a gigabyte.
    limits = ToolLimits(wall_seconds=3_600.0, cpu_seconds=3_000, memory_bytes=3072 * MIB)
    group = "ocr"
    modules = ("PIL", "pikepdf", "pypdfium2", "processors.tools.ocr_pages")
    late_modules = ("onnxruntime", "rapidocr")
    extra = "ocr"
    compares_with = (
        Comparison(
            "Tesseract",
            "tesseract scan.png out -l eng",
            (
                "No language is chosen: one model reads Latin letters, Chinese and Japanese."
                " Cyrillic, Greek, Arabic, Hebrew and Korean are not read here; Tesseract has"
                " models for them.",
                "Tesseract keeps blocks and columns; here lines come from top to bottom.",
                "Photos of text, askew or on a busy ground, are read; Tesseract wants a scan.",
            ),
        ),
        Comparison(
            "OCRmyPDF",
            "ocrmypdf --force-ocr in.pdf out.pdf",
            (
                "Both leave the pages as they look and put the text behind; OCRmyPDF makes PDF/A,"
                " and can straighten and clean pages.",
                "OCRmyPDF can leave out pages that have text; here `pages` says which are read.",
            ),
        ),
    )
    Options = OcrOptions

    async def process(self, input_data: ToolInput, options: OcrOptions) -> ToolResult:
        """Read the one file."""
        from processors.tools.ocr_pages import recognized

        return recognized(input_data, options)
