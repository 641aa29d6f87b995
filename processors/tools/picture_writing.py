"""Writes a picture in one of the formats, with what the format can hold and no more.

Importing this imports Pillow, so tools do it when they run.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageColor

from processors.tools.base import (
    CorruptFile,
    DimensionsTooLarge,
    InvalidOptions,
    OutputFile,
    ToolInput,
    ToolResult,
)
from processors.tools.extras import needed
from processors.tools.filenames import output_name
from processors.tools.picture_formats import BY_ENCODER, FORMATS, FormatName, PictureFormat
from processors.tools.picture_options import PictureOptions
from processors.tools.pixels import Picture, check_size, decoding, in_plain_colours, opened, read

PLAIN_MODES = frozenset({"L", "RGB", "RGBA"})
KEEP_EXIF = frozenset({"JPEG", "PNG", "WEBP", "AVIF", "HEIF"})
VIEWS = frozenset({"MPO", "HEIF"})
"""Formats whose further pictures are views of the first, or other pictures altogether."""
KEEP_PROFILE = frozenset({*KEEP_EXIF, "TIFF"})
TURNED = frozenset({5, 6, 7, 8})
"""Orientations in EXIF that swap width and height."""
DRAFT_FACTOR = 2
"""How much larger than needed a picture is decoded that the decoder can shrink by itself."""

Size = tuple[int, int]
Shape = Callable[[Image.Image], Image.Image]
"""Turns a frame into what is written of it, such as one of another size."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """What size a picture shall get: scaled first, then cut to a window round its middle."""

    scaled: Callable[[Size], Size] = lambda size: size
    window: Size | None = None


def rewrite(
    input_data: ToolInput,
    wishes: PictureOptions,
    format_name: FormatName | None,
    sizing: Sizing,
) -> ToolResult:
    """Read the first input and write it as wished; without a name it keeps its format."""
    with opened(input_data.files[0]) as source:
        kind = _kind(source, wishes, format_name)
        size = _drafted(source, sizing)
        picture = read(source, all_frames=_takes_all_frames(source, kind, wishes))
    return _written(input_data, picture, kind, wishes, lambda frame: _sized(frame, sizing, size))


def reshape(
    input_data: ToolInput,
    wishes: PictureOptions,
    format_name: FormatName | None,
    shape_of: Callable[[Picture], Shape],
) -> ToolResult:
    """The same for a shape that only the whole picture can tell."""
    with opened(input_data.files[0]) as source:
        kind = _kind(source, wishes, format_name)
        picture = read(source, all_frames=_takes_all_frames(source, kind, wishes))
    return _written(input_data, picture, kind, wishes, shape_of(picture))


def _kind(
    source: Image.Image, wishes: PictureOptions, format_name: FormatName | None
) -> PictureFormat:
    kind = FORMATS[format_name or BY_ENCODER.get(source.format or "", "jpeg")]
    _check_wishes(wishes, kind)
    return kind


def _written(
    input_data: ToolInput,
    picture: Picture,
    kind: PictureFormat,
    wishes: PictureOptions,
    shape: Shape,
) -> ToolResult:
    input_data.progress(0.4, "read")
    path = input_data.folder / f"output{kind.suffix}"
    write(picture, path, kind, wishes, shape)
    output = OutputFile(output_name(input_data.files, kind.suffix), path, kind.media_type)
    return ToolResult((output,), tuple(picture.notes))


def _drafted(source: Image.Image, sizing: Sizing) -> Size | None:
    """Let the decoder of a JPEG shrink it roughly, for a fraction of the work; its size then."""
    if source.format != "JPEG":
        return None
    with decoding():
        turned = source.getexif().get(ExifTags.Base.Orientation, 1) in TURNED
        width, height = sizing.scaled(_swapped(source.size, turned))
        source.draft(None, _swapped((width * DRAFT_FACTOR, height * DRAFT_FACTOR), turned))
    return width, height


def _swapped(size: Size, turned: bool) -> Size:
    return (size[1], size[0]) if turned else size


def _sized(frame: Image.Image, sizing: Sizing, size: Size | None) -> Image.Image:
    size = size or sizing.scaled(frame.size)
    check_size(size)
    if size != frame.size:
        frame = frame.resize(size, Image.Resampling.LANCZOS)
    if sizing.window is None:
        return frame
    width, height = sizing.window
    left, top = (frame.width - width) // 2, (frame.height - height) // 2
    return frame.crop((left, top, left + width, top + height))


def _check_wishes(wishes: PictureOptions, kind: PictureFormat) -> None:
    if wishes.lossless and kind.quality is not None and not kind.has_lossless_choice:
        raise InvalidOptions(f"{kind.encoder} is never lossless here.", field="lossless")
    if kind.encoder == "HEIF":
        needed("pillow_heif", "heif", "HEIC pictures", field="output_format")


def _takes_all_frames(source: Image.Image, kind: PictureFormat, wishes: PictureOptions) -> bool:
    # Pages of a TIFF are no animation either, but a TIFF can hold them again.
    if wishes.animation != "keep" or source.format in VIEWS:
        return False
    return kind.has_pages if source.format == "TIFF" else kind.is_animated


def write(
    picture: Picture, path: Path, kind: PictureFormat, wishes: PictureOptions, shape: Shape
) -> None:
    """Encode all frames of a picture."""
    frames = picture.frames
    kept = {} if wishes.strip_metadata else _metadata(picture, kind)
    profile = b"" if kept.get("icc_profile") else picture.profile
    for index, frame in enumerate(frames):
        plain = in_plain_colours(frame, profile, sixteen_bits=kind.has_sixteen_bits)
        frames[index] = _bare(_fitted(shape(plain), kind, wishes.background))
    options = _encoder_options(kind, wishes, frames[0].size) | kept
    if len(frames) > 1:
        options |= _frame_options(picture, kind)
    try:
        frames[0].save(path, kind.encoder, **options)
    except RuntimeError as error:
        # An encoder of animations gives up over what only a damaged file has.
        raise CorruptFile(f"The frames cannot be written as {kind.encoder}.") from error


def _metadata(picture: Picture, kind: PictureFormat) -> dict[str, Any]:
    """What goes along with the pixels; a profile only where they stay as they are."""
    kept: dict[str, Any] = {}
    if kind.encoder in KEEP_PROFILE and picture.frames[0].mode in PLAIN_MODES:
        kept["icc_profile"] = picture.profile or None
    if len(picture.exif) and kind.encoder in KEEP_EXIF:
        kept["exif"] = _exif(picture)
    elif len(picture.exif):
        picture.notes.append(f"The EXIF was left out: a {kind.encoder} written here has none.")
    return kept


def _exif(picture: Picture) -> bytes:
    try:
        return picture.exif.tobytes()
    except (ValueError, TypeError, KeyError, struct.error):
        picture.notes.append("The EXIF is damaged and was left out.")
        return b""


def _fitted(frame: Image.Image, kind: PictureFormat, background: str) -> Image.Image:
    if kind.encoder == "ICO":
        frame = _within(frame, kind.side_max)
    check_size(frame.size)
    if max(frame.size) > kind.side_max:
        raise DimensionsTooLarge(f"{kind.encoder} holds {kind.side_max} pixels a side.")
    if frame.mode == "RGBA" and not kind.has_alpha:
        ground = Image.new("RGB", frame.size, ImageColor.getrgb(background))
        ground.paste(frame, mask=frame.getchannel("A"))
        return ground
    return frame


def _within(frame: Image.Image, side: int) -> Image.Image:
    scale = side / max(frame.size)
    if scale >= 1:
        return frame
    width, height = (max(1, round(length * scale)) for length in frame.size)
    return frame.resize((width, height), Image.Resampling.LANCZOS)


def _bare(frame: Image.Image) -> Image.Image:
    # Encoders write comments, tags and profiles that they find on a frame.
    bare = frame if type(frame) is Image.Image else frame.copy()
    bare.info = {}
    return bare


def _encoder_options(kind: PictureFormat, wishes: PictureOptions, size: Size) -> dict[str, Any]:
    quality = {} if kind.quality is None else {"quality": wishes.quality or kind.quality}
    match kind.encoder:
        case "WEBP":
            return {**quality, "lossless": wishes.lossless}
        case "AVIF":
            # Runs share the processor; each takes one part of it.
            return {**quality, "max_threads": 1}
        case "TIFF":
            return {"compression": "tiff_adobe_deflate"}
        case "ICO":
            return {"sizes": [size]}
        case _:
            return dict(quality)


def _frame_options(picture: Picture, kind: PictureFormat) -> dict[str, Any]:
    options: dict[str, Any] = {"save_all": True, "append_images": picture.frames[1:]}
    if kind.is_animated:
        options["duration"] = picture.durations
    if kind.encoder in ("WEBP", "PNG"):
        options["loop"] = picture.loop if picture.loop is not None else 1
    if kind.encoder == "GIF":
        options |= (
            {"disposal": 2} if picture.loop is None else {"disposal": 2, "loop": picture.loop}
        )
    return options
