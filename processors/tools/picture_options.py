"""The options that all tools share that write pictures."""

from typing import Literal

from pydantic import Field

from processors.tools.base import ToolOptions


class PictureOptions(ToolOptions):
    """How a picture is written."""

    quality: int | None = Field(
        default=None,
        ge=1,
        le=100,
        title="Quality",
        description="1 (small) to 100 (faithful), for JPEG, WebP and AVIF; if unset, what suits"
        " the format.",
        examples=[80],
        json_schema_extra={"unit": ""},
    )
    lossless: bool = Field(
        default=False, title="Lossless", description="Keep every pixel as it is; for WebP."
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
    )
    strip_metadata: bool = Field(
        default=True,
        title="Strip metadata",
        description="Leave out EXIF, with its place and camera, and turn colours to sRGB.",
    )
