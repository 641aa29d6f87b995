"""The picture formats that tools read and write, and what each of them can hold."""

from dataclasses import dataclass
from typing import Literal

FormatName = Literal["webp", "jpeg", "png", "gif", "tiff", "bmp", "ico", "avif", "heic"]

PIXELS_MAX = 64 * 1000 * 1000
"""Of one frame, read or written."""
FRAMES_MAX = 1_000
FRAME_PIXELS_MAX = 128 * 1000 * 1000
"""Of all frames together."""


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """What a format is called and what it can hold."""

    media_type: str
    suffix: str
    encoder: str
    quality: int | None
    """The quality if none is asked for; None where the format has no such choice."""
    side_max: int
    has_alpha: bool = True
    is_animated: bool = False
    has_pages: bool = False
    has_sixteen_bits: bool = False
    has_lossless_choice: bool = False


FORMATS: dict[FormatName, PictureFormat] = {
    "webp": PictureFormat(
        "image/webp", ".webp", "WEBP", 80, 16_383, is_animated=True, has_lossless_choice=True
    ),
    "jpeg": PictureFormat("image/jpeg", ".jpg", "JPEG", 85, 65_500, has_alpha=False),
    "png": PictureFormat(
        "image/png", ".png", "PNG", None, 65_535, is_animated=True, has_sixteen_bits=True
    ),
    "gif": PictureFormat("image/gif", ".gif", "GIF", None, 65_535, is_animated=True),
    "tiff": PictureFormat(
        "image/tiff", ".tiff", "TIFF", None, 65_535, has_pages=True, has_sixteen_bits=True
    ),
    "bmp": PictureFormat("image/bmp", ".bmp", "BMP", None, 65_535, has_alpha=False),
    "ico": PictureFormat("image/vnd.microsoft.icon", ".ico", "ICO", None, 256),
    "avif": PictureFormat("image/avif", ".avif", "AVIF", 65, 65_535, is_animated=True),
    # Needs the extra `heif`.
    "heic": PictureFormat("image/heic", ".heic", "HEIF", 60, 16_384),
}
BY_ENCODER: dict[str, FormatName] = {kind.encoder: name for name, kind in FORMATS.items()}
OUTPUT_FORMATS = [kind.media_type for kind in FORMATS.values()]
INPUT_FORMATS = [*OUTPUT_FORMATS, "image/heif", "image/x-icon", "image/x-ms-bmp"]
