"""Gives a picture another size."""

from typing import ClassVar, Literal

from pydantic import Field

from processors.tools.base import MIB, BaseTool, Comparison, ToolInput, ToolLimits, ToolResult
from processors.tools.picture_formats import INPUT_FORMATS, OUTPUT_FORMATS, FormatName
from processors.tools.picture_options import PictureOptions

SIDE_MAX = 16_384
SIDE_DEFAULT = 1_024
Fit = Literal["contain", "cover", "fill"]


class ImageResizerOptions(PictureOptions):
    """How large a picture shall be."""

    width: int | None = Field(
        default=None,
        ge=1,
        le=SIDE_MAX,
        title="Width",
        description=f"In pixels. With neither width nor height, both are {SIDE_DEFAULT}.",
        examples=[1920],
        json_schema_extra={"unit": "pixels"},
    )
    height: int | None = Field(
        default=None,
        ge=1,
        le=SIDE_MAX,
        title="Height",
        description="In pixels.",
        examples=[1080],
        json_schema_extra={"unit": "pixels"},
    )
    fit: Fit = Field(
        default="contain",
        title="Fit",
        description="With both width and height: contain keeps all of the picture within them,"
        " cover cuts off what stands over, fill stretches.",
        examples=["cover"],
    )
    enlarge: bool = Field(
        default=False,
        title="Enlarge",
        description="Also make a picture larger than it is; cover and fill always may.",
        examples=[True],
    )
    output_format: FormatName | None = Field(
        default=None,
        title="Output format",
        description="If unset, the format that it has.",
        examples=["webp"],
    )


class ImageResizer(BaseTool[ImageResizerOptions]):
    """Keeps the proportions unless it is told to stretch."""

    name = "image-resizer"
    description = "Makes a picture smaller or larger, by width, height or both."
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
            "convert in.jpg -auto-orient -strip -resize '1024x1024>' out.jpg",
            (
                "fit contain, cover and fill are `-resize WxH`, `WxH^` with `-extent`, and `WxH!`.",
                "A picture is not made larger unless `enlarge` is set; ImageMagick needs the `>`.",
                "All frames of an animation are resized, without `-coalesce` first.",
            ),
        ),
    )
    Options = ImageResizerOptions

    async def process(self, input_data: ToolInput, options: ImageResizerOptions) -> ToolResult:
        """Resize the one picture, all of its frames."""
        from processors.tools.picture_writing import Sizing, rewrite

        sizing = Sizing(scaled=lambda size: target_size(size, options), window=_window(options))
        return rewrite(input_data, options, options.output_format, sizing)


def _window(options: ImageResizerOptions) -> tuple[int, int] | None:
    if options.fit == "cover" and options.width and options.height:
        return options.width, options.height
    return None


def target_size(size: tuple[int, int], options: ImageResizerOptions) -> tuple[int, int]:
    """The size that a picture of some size gets (before a cover cuts)."""
    width, height = options.width, options.height
    if width is None and height is None:
        width = height = SIDE_DEFAULT
    if options.fit == "fill" and width and height:
        return width, height
    scales = [wanted / had for wanted, had in zip((width, height), size, strict=True) if wanted]
    covers = options.fit == "cover" and len(scales) == 2
    scale = max(scales) if covers else min(scales)
    if scale > 1 and not options.enlarge and not covers:
        return size
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
