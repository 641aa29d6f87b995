"""Cuts pictures."""

from typing import ClassVar

from pydantic import Field

from processors.tools.base import MIB, BaseTool, Comparison, ToolInput, ToolLimits, ToolResult
from processors.tools.picture_formats import INPUT_FORMATS, OUTPUT_FORMATS, FormatName
from processors.tools.picture_options import PictureOptions, Position

SIDE_MAX = 65_535


class ImageCropperOptions(PictureOptions):
    """What to keep of a picture."""

    width: int | None = Field(
        default=None,
        ge=1,
        le=SIDE_MAX,
        title="Width",
        description="Of what is kept, in pixels; if unset, all of it.",
        examples=[800],
        json_schema_extra={"unit": "pixels"},
    )
    height: int | None = Field(
        default=None,
        ge=1,
        le=SIDE_MAX,
        title="Height",
        description="Of what is kept, in pixels; if unset, all of it.",
        examples=[600],
        json_schema_extra={"unit": "pixels"},
    )
    left: int | None = Field(
        default=None,
        ge=0,
        le=SIDE_MAX,
        title="Left",
        description="Where it begins, in pixels of the upright picture; if unset, by position.",
        examples=[120],
        json_schema_extra={"unit": "pixels"},
    )
    top: int | None = Field(
        default=None,
        ge=0,
        le=SIDE_MAX,
        title="Top",
        description="Where it begins, in pixels of the upright picture; if unset, by position.",
        examples=[80],
        json_schema_extra={"unit": "pixels"},
    )
    aspect: str | None = Field(
        default=None,
        pattern=r"^[1-9][0-9]{0,4}:[1-9][0-9]{0,4}$",
        title="Aspect",
        description="Width to height, such as 16:9: the largest part of that shape is kept.",
        examples=["16:9"],
    )
    position: Position = Field(
        default="middle",
        title="Position",
        description="Which part is kept where that is open.",
        examples=["top"],
    )
    trim: bool = Field(
        default=False,
        title="Trim",
        description="First cut off a border of one colour; done without being asked for where"
        " nothing else is.",
        examples=[True],
    )
    tolerance: int = Field(
        default=8,
        ge=0,
        le=255,
        title="Tolerance",
        description="How far the colours of a border may differ from its corner, of 255.",
        examples=[24],
        json_schema_extra={"unit": "levels"},
    )
    output_format: FormatName | None = Field(
        default=None,
        title="Output format",
        description="If unset, the format that it has.",
        examples=["webp"],
    )


class ImageCropper(BaseTool[ImageCropperOptions]):
    """Trims, then cuts to a box, then to a shape; all frames of an animation alike."""

    name = "image-cropper"
    description = "Cuts a picture to a box or a shape, or trims its border."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = OUTPUT_FORMATS
    # A picture of 64 million pixels, what is measured of it, and what is written.
    limits = ToolLimits(memory_bytes=2048 * MIB)
    group = "images"
    modules = ("PIL", "processors.tools.picture_cropping")
    compares_with = (
        Comparison(
            "ImageMagick",
            "convert in.png -auto-orient -fuzz 3% -trim +repage out.png",
            (
                "width, height, left and top are `-crop WxH+X+Y +repage`; position is `-gravity`.",
                "A box that does not lie in the picture is refused; ImageMagick cuts what it can.",
                "`aspect` has no single counterpart: `-crop 16:9` exists since ImageMagick 7.",
                "An animation is trimmed to what any of its frames needs, without `-coalesce`.",
            ),
        ),
    )
    Options = ImageCropperOptions

    async def process(self, input_data: ToolInput, options: ImageCropperOptions) -> ToolResult:
        """Crop the one picture."""
        from processors.tools.picture_cropping import cropped

        return cropped(input_data, options)
