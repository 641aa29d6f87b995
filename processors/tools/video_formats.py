"""The formats in which films are made, and how well."""

from typing import Literal

VideoFormat = Literal["mp4", "webm"]
Quality = Literal["low", "medium", "high"]
MEDIA_TYPES: dict[VideoFormat, str] = {"mp4": "video/mp4", "webm": "video/webm"}
FACTORS: dict[VideoFormat, dict[Quality, int]] = {
    "mp4": {"low": 30, "medium": 24, "high": 19},
    "webm": {"low": 42, "medium": 34, "high": 26},
}
"""Constant rate factors: less is better."""


def encoding(target: VideoFormat, quality: Quality) -> list[str]:
    """The arguments of ffmpeg that encode a film."""
    factor = str(FACTORS[target][quality])
    if target == "mp4":
        return [
            *("-c:v", "libx264", "-preset", "veryfast", "-crf", factor, "-pix_fmt", "yuv420p"),
            *("-c:a", "aac", "-b:a", "160k", "-movflags", "+faststart", "-f", "mp4"),
        ]
    return [
        *("-c:v", "libvpx-vp9", "-b:v", "0", "-crf", factor, "-pix_fmt", "yuv420p"),
        *("-deadline", "good", "-cpu-used", "5"),
        *("-c:a", "libopus", "-b:a", "128k", "-f", "webm"),
    ]


def scaling(height_max: int | None) -> str:
    """A filter that makes square pixels and even sides, and the film no higher than wished."""
    height = f"min(ih,{height_max})" if height_max else "ih"
    return f"scale=w='trunc(iw*sar*({height})/ih/2)*2':h='trunc(({height})/2)*2',setsar=1"
