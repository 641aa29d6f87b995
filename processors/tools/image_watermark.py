"""Puts a text or a second picture on pictures."""

from typing import ClassVar

from pydantic import Field

from processors.tools.base import MIB, BaseTool, Comparison, ToolInput, ToolLimits, ToolResult
from processors.tools.picture_formats import INPUT_FORMATS, OUTPUT_FORMATS, FormatName
from processors.tools.picture_options import PictureOptions, Position

TEXT_LENGTH_MAX = 200


class ImageWatermarkOptions(PictureOptions):
    """What the watermark is, and where."""

    text: str = Field(
        default="Sample",
        min_length=1,
        max_length=TEXT_LENGTH_MAX,
        pattern=r"\S",
        title="Text",
        description="Of one line or several; a second file is used instead of it.",
        examples=["© Example Ltd"],
    )
    position: Position = Field(
        default="bottom-right",
        title="Position",
        description="Where the watermark lies.",
        examples=["middle"],
    )
    tile: bool = Field(
        default=False,
        title="Tile",
        description="Repeat the watermark all over the picture.",
        examples=[True],
    )
    size: int = Field(
        default=25,
        ge=1,
        le=100,
        title="Size",
        description="How wide the watermark is, as a part of the picture's width.",
        examples=[50],
        json_schema_extra={"unit": "percent"},
    )
    opacity: int = Field(
        default=50,
        ge=1,
        le=100,
        title="Opacity",
        description="1 (a breath) to 100 (nothing shows through).",
        examples=[80],
        json_schema_extra={"unit": "percent"},
    )
    margin: int = Field(
        default=2,
        ge=0,
        le=50,
        title="Margin",
        description="The distance from the border, as a part of the picture's shorter side; with"
        " tile, the distance between two.",
        examples=[5],
        json_schema_extra={"unit": "percent"},
    )
    angle: int = Field(
        default=0,
        ge=-180,
        le=180,
        title="Angle",
        description="How far the watermark is turned, against the clock.",
        examples=[30],
        json_schema_extra={"unit": "degrees"},
    )
    colour: str = Field(
        default="#ffffff",
        pattern=r"^#[0-9a-fA-F]{6}$",
        title="Colour",
        description="Of the text: #rrggbb; its outline is black or white, whichever stands out.",
        examples=["#000000"],
    )
    output_format: FormatName | None = Field(
        default=None,
        title="Output format",
        description="If unset, the format that it has.",
        examples=["webp"],
    )


class ImageWatermark(BaseTool[ImageWatermarkOptions]):
    """The second file, if there is one, is the watermark; all frames of an animation get it."""

    name = "image-watermark"
    description = "Puts a text or a second picture on a picture, once or all over it."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = OUTPUT_FORMATS
    # A picture of 64 million pixels with transparency, twice, and a watermark as large as it.
    limits = ToolLimits(memory_bytes=2048 * MIB, inputs_max=2)
    group = "images"
    modules = ("PIL", "processors.tools.picture_stamping")
    compares_with = (
        Comparison(
            "ImageMagick",
            "convert in.jpg logo.png -gravity southeast -geometry +20+20 -composite out.jpg",
            (
                "Size and margin are parts of the picture, so that they suit pictures of any size;"
                " ImageMagick takes pixels.",
                "A text is outlined, so that it can be read on any ground; ImageMagick has"
                " `-stroke` for that.",
                "ImageMagick sets text in any font; here the letters that the built-in one lacks"
                " come from the system's.",
            ),
        ),
    )
    Options = ImageWatermarkOptions

    async def process(self, input_data: ToolInput, options: ImageWatermarkOptions) -> ToolResult:
        """Mark the first picture."""
        from processors.tools.picture_stamping import stamped

        return stamped(input_data, options)
