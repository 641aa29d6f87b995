"""The options that all tools share that write pictures."""

from typing import Literal

from pydantic import Field

from processors.tools.base import ToolOptions

Position = Literal[
    "top-left",
    "top",
    "top-right",
    "left",
    "middle",
    "right",
    "bottom-left",
    "bottom",
    "bottom-right",
]
Size = tuple[int, int]


def placed(inner: Size, outer: Size, position: Position, margin: int = 0) -> tuple[int, int]:
    """Where the left top corner of something comes to lie in something larger."""
    x, y = ((whole - part) // 2 for part, whole in zip(inner, outer, strict=True))
    if "left" in position:
        x = margin
    elif "right" in position:
        x = outer[0] - inner[0] - margin
    if "top" in position:
        y = margin
    elif "bottom" in position:
        y = outer[1] - inner[1] - margin
    return x, y


class PictureOptions(ToolOptions):
    """How a picture is written."""

    quality: int | None = Field(
        default=None,
        ge=1,
        le=100,
        title="Quality",
        description="1 (small) to 100 (faithful), for JPEG, WebP, AVIF and HEIC; if unset, what"
        " suits the format.",
        examples=[80],
        json_schema_extra={"unit": ""},
    )
    lossless: bool = Field(
        default=False,
        title="Lossless",
        description="Keep every pixel as it is; for WebP.",
        examples=[True],
    )
    background: str = Field(
        default="#ffffff",
        pattern=r"^#[0-9a-fA-F]{6}$",
        title="Background",
        description="What shows through transparent parts where the format has none: #rrggbb.",
        examples=["#000000"],
    )
    animation: Literal["keep", "first"] = Field(
        default="keep",
        title="Animation",
        description="Keep all frames where the format can hold them, or take the first.",
        examples=["first"],
    )
    strip_metadata: bool = Field(
        default=True,
        title="Strip metadata",
        description="Leave out EXIF, with its place and camera, and turn colours to sRGB.",
        examples=[False],
    )
