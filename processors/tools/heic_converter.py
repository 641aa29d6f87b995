"""Turns the photos of telephones into what every program opens, and other pictures into HEIC."""

from typing import ClassVar

from pydantic import Field

from processors.tools.base import MIB, BaseTool, Comparison, ToolInput, ToolLimits, ToolResult
from processors.tools.picture_formats import INPUT_FORMATS, OUTPUT_FORMATS, FormatName
from processors.tools.picture_options import PictureOptions


class HeicConverterOptions(PictureOptions):
    """What to turn a photo into."""

    output_format: FormatName = Field(
        default="jpeg",
        title="Output format",
        description="The format of the new picture.",
        examples=["heic"],
    )


class HeicConverter(BaseTool[HeicConverterOptions]):
    """What image-converter does with HEIC, by itself, so that its extra may be missing."""

    name = "heic-converter"
    description = "Converts HEIC photos to JPEG and other formats, or pictures to HEIC."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = OUTPUT_FORMATS
    limits = ToolLimits(memory_bytes=2048 * MIB)
    group = "images"
    modules = ("PIL", "pillow_heif", "processors.tools.picture_writing")
    extra = "heif"
    compares_with = (
        Comparison(
            "libheif",
            "heif-convert -q 85 in.heic out.jpg",
            (
                "Both turn the photo upright; here EXIF, with the place, is left out by default.",
                "Of several pictures in a file the main one is taken, and a note says so;"
                " heif-convert writes all of them.",
                "heif-convert can also write depth images.",
            ),
        ),
    )
    Options = HeicConverterOptions

    async def process(self, input_data: ToolInput, options: HeicConverterOptions) -> ToolResult:
        """Convert the one picture."""
        from processors.tools.picture_writing import Sizing, rewrite

        return rewrite(input_data, options, options.output_format, Sizing())
