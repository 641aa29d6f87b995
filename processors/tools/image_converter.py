"""Turns a picture into another picture format."""

from typing import ClassVar

from pydantic import Field

from processors.tools.base import MIB, BaseTool, Comparison, ToolInput, ToolLimits, ToolResult
from processors.tools.picture_formats import INPUT_FORMATS, OUTPUT_FORMATS, FormatName
from processors.tools.picture_options import PictureOptions


class ImageConverterOptions(PictureOptions):
    """What to turn a picture into."""

    output_format: FormatName = Field(
        default="webp",
        title="Output format",
        description="The format of the new picture; heic needs the extra `heif`.",
        examples=["png"],
    )


class ImageConverter(BaseTool[ImageConverterOptions]):
    """Upright, in sRGB, on a background where transparency is lost."""

    name = "image-converter"
    description = "Converts a picture to WebP, JPEG, PNG, GIF, TIFF, BMP, ICO, AVIF or HEIC."
    version = "1.1.0"
    group = "images"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = OUTPUT_FORMATS
    names_matter = False
    limits = ToolLimits(memory_bytes=2048 * MIB)
    modules = ("PIL", "processors.tools.picture_writing")
    compares_with = (
        Comparison(
            "ImageMagick",
            "convert in.jpg -auto-orient -strip -quality 80 out.webp",
            (
                "Upright, in sRGB and without EXIF by default; ImageMagick has to be told so.",
                "Print colours and 16 bits are converted by profile and scale without an option.",
                "ImageMagick knows more than 200 formats; here are those that a browser shows.",
            ),
        ),
    )
    Options = ImageConverterOptions

    async def process(self, input_data: ToolInput, options: ImageConverterOptions) -> ToolResult:
        """Convert the one picture."""
        from processors.tools.picture_writing import Sizing, rewrite

        return rewrite(input_data, options, options.output_format, Sizing())
