"""Turns SVG drawings into pictures."""

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
from processors.tools.options import NO_UNIT, option
from processors.tools.picture_formats import FORMATS

SIDE_MAX = 16_384
DrawnFormat = Literal["png", "webp", "jpeg"]


class SvgToImageOptions(ToolOptions):
    """How large, and into what."""

    width: int | None = option(
        None,
        title="Width",
        description="If unset, what the height or the scale makes it.",
        examples=[512],
        unit="pixels",
        ge=1,
        le=SIDE_MAX,
    )
    height: int | None = option(
        None,
        title="Height",
        description="With a width, the drawing becomes as large as fits into both.",
        examples=[512],
        unit="pixels",
        ge=1,
        le=SIDE_MAX,
    )
    scale: float = option(
        1.0,
        title="Scale",
        description="How much larger than it says of itself, where neither side is given.",
        examples=[2.0],
        unit=NO_UNIT,
        ge=0.01,
        le=100,
    )
    background: str | None = option(
        None,
        title="Background",
        description="#rrggbb; if unset, transparent, and white in a JPEG.",
        examples=["#ffffff"],
        pattern=r"^#[0-9a-fA-F]{6}$",
    )
    output_format: DrawnFormat = option(
        "png",
        title="Output format",
        description="The format of the picture.",
        examples=["webp"],
    )
    quality: int = option(
        90,
        title="Quality",
        description="1 (small) to 100 (faithful), for JPEG and WebP.",
        examples=[75],
        unit=NO_UNIT,
        ge=1,
        le=100,
    )


class SvgToImage(BaseTool[SvgToImageOptions]):
    """Drawn by itself alone: nothing that it refers to outside is read, no script is run."""

    name = "svg-to-image"
    description = "Draws an SVG as a PNG, WebP or JPEG picture of any size."
    version = "1.0.0"
    # What begins with a comment or without a declaration looks like any text.
    input_formats: ClassVar[list[str]] = [
        *("image/svg+xml", "application/xml", "text/xml", "text/html", "text/plain")
    ]
    output_formats: ClassVar[list[str]] = [
        FORMATS[name].media_type for name in ("png", "webp", "jpeg")
    ]
    # A drawing of 64 million pixels and a layer of its size; resvg aborts where it gets no memory,
    # and what aborts once does so again.
    limits = ToolLimits(memory_bytes=2048 * MIB, attempts_max=2)
    group = "images"
    modules = ("PIL", "resvg_py", "processors.tools.svg_drawing")
    extra = "images"
    compares_with = (
        Comparison(
            "resvg",
            "resvg in.svg out.png",
            (
                "It is resvg that draws here, so the pixels are the same.",
                "resvg reads pictures that the drawing names by a path; here they are left out.",
            ),
        ),
        Comparison(
            "Inkscape",
            "inkscape --export-filename=out.png in.svg",
            (
                "Inkscape knows its own extensions of SVG and flowed text; resvg knows SVG 1.1"
                " and parts of SVG 2.",
                "Fonts are those of the system for both.",
            ),
        ),
    )
    Options = SvgToImageOptions

    async def process(self, input_data: ToolInput, options: SvgToImageOptions) -> ToolResult:
        """Draw the one drawing."""
        from processors.tools.svg_drawing import drawn

        return drawn(input_data, options)
