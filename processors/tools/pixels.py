"""Reads a picture of a stranger: checked before it is decoded, upright, in plain colours.

Importing this imports Pillow, so tools do it when they run. A damaged file is never shown in part.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from processors.tools.base import (
    CorruptFile,
    DimensionsTooLarge,
    InputFile,
    ToolProcessingError,
    TooManyFrames,
    UnsupportedMediaType,
)
from processors.tools.extras import is_installed, needed
from processors.tools.parsing import parsing
from processors.tools.picture_formats import (
    FORMATS,
    FRAME_PIXELS_MAX,
    FRAMES_MAX,
    INPUT_FORMATS,
    PIXELS_MAX,
)
from processors.tools.signatures import HEAD_BYTES, is_marked_as_any

Image.init()
if is_installed("pillow_heif"):
    import pillow_heif

    # Runs share the processor; each takes one part of it.
    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = PIXELS_MAX

READERS = [kind.encoder for kind in FORMATS.values() if kind.encoder in Image.OPEN]
HEIF_TYPES = ["image/heic", "image/heif"]
SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
FRAME_MS_DEFAULT = 100
FRAME_MS_MAX = 65_535
LOOPS_MAX = 65_535
"""Both are what every animated format can hold."""


@dataclass(slots=True)
class Picture:
    """A picture as it was read: its frames upright, and what its file said besides."""

    frames: list[Image.Image]
    encoder: str
    durations: list[int] = field(default_factory=list)
    loop: int | None = None
    exif: Image.Exif = field(default_factory=Image.Exif)
    profile: bytes = b""
    notes: list[str] = field(default_factory=list)


@contextmanager
def decoding() -> Iterator[None]:
    """Parse pixels: also a picture that Pillow takes for a bomb is refused by its code."""
    with parsing(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            yield
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise DimensionsTooLarge(f"A picture may have at most {PIXELS_MAX} pixels.") from None


@contextmanager
def opened(file: InputFile) -> Iterator[Image.Image]:
    """Read the header of a picture and check it; nothing is decoded yet."""
    with decoding():
        try:
            picture = Image.open(file.path, formats=READERS)
        except UnidentifiedImageError:
            raise _unidentified(file.path) from None
    with picture:
        check_size(picture.size)
        yield picture


def _unidentified(path: Path) -> ToolProcessingError:
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if is_marked_as_any(head, HEIF_TYPES):
        needed("pillow_heif", "heif", "HEIC pictures")
    if is_marked_as_any(head, INPUT_FORMATS):
        return CorruptFile()
    return UnsupportedMediaType("The file is not a picture of a format that the tool reads.")


def check_size(size: tuple[int, int]) -> None:
    """Refuse what is too large to be decoded or made."""
    width, height = size
    if width * height == 0:
        raise CorruptFile("The picture has no pixels.")
    if width * height > PIXELS_MAX:
        raise DimensionsTooLarge(
            f"The picture is {width} × {height}; {PIXELS_MAX} pixels are allowed."
        )


def read(source: Image.Image, *, all_frames: bool) -> Picture:
    """Decode a picture that was opened: its first frame, or all of them."""
    with decoding():
        count = getattr(source, "n_frames", 1)
        picture = Picture([], source.format or "", notes=_notes(source, count, all_frames))
        if all_frames:
            check_frames(source.size, count)
        # One alone is the one that the file calls its main one.
        for index in range(count) if all_frames else [source.tell()]:
            source.seek(index)
            source.load()
            picture.frames.append(_upright(source if count == 1 else source.copy()))
            picture.durations.append(_duration(source))
        if "loop" in source.info:
            picture.loop = min(int(source.info["loop"]), LOOPS_MAX)
        picture.exif = picture.frames[0].getexif()
        picture.profile = source.info.get("icc_profile") or b""
        return picture


def _duration(source: Image.Image) -> int:
    wished = int(source.info.get("duration") or FRAME_MS_DEFAULT)
    return min(max(wished, 0), FRAME_MS_MAX)


def _notes(source: Image.Image, count: int, all_frames: bool) -> list[str]:
    if count == 1 or all_frames:
        return []
    kind = {"TIFF": "pages", "MPO": "pictures", "HEIF": "pictures"}.get(
        source.format or "", "frames"
    )
    return [f"The first of {count} {kind} was taken."]


def check_frames(size: tuple[int, int], count: int) -> None:
    """Refuse too many frames, or too large ones."""
    if count > FRAMES_MAX:
        raise TooManyFrames(f"The picture has {count} frames; {FRAMES_MAX} are allowed.")
    if count * size[0] * size[1] > FRAME_PIXELS_MAX:
        raise TooManyFrames(f"Its {count} frames have more than {FRAME_PIXELS_MAX} pixels.")


def _upright(frame: Image.Image) -> Image.Image:
    check_size(frame.size)
    ImageOps.exif_transpose(frame, in_place=True)
    return frame


def in_plain_colours(frame: Image.Image, profile: bytes, *, sixteen_bits: bool) -> Image.Image:
    """The frame in a mode that every encoder knows; colours of printers and cameras become sRGB.

    The result is L, RGB or RGBA, or I;16 where 16 bits are wanted and there.
    """
    if frame.mode in SIXTEEN_BIT_MODES:
        return _sixteen_bits(frame) if sixteen_bits else _eight_bits(frame)
    if frame.mode == "F":
        return _from_floats(frame)
    if frame.mode in ("1", "P", "PA", "LA", "La", "RGBa"):
        frame = _expanded(frame)
    return _in_srgb(frame, profile)


def _sixteen_bits(frame: Image.Image) -> Image.Image:
    return frame if frame.mode == "I;16" else frame.convert("I;16")


def _eight_bits(frame: Image.Image) -> Image.Image:
    # Pillow's own conversion would clip everything above 255.
    return frame.convert("I").point(lambda level: level * (1 / 257)).convert("L")


def _from_floats(frame: Image.Image) -> Image.Image:
    # Floating-point files count from 0 to 1, or to 255 like any other.
    _, brightest = frame.getextrema()
    scale = 255.0 if isinstance(brightest, float) and brightest <= 1 else 1.0
    return frame.point(lambda level: level * scale).convert("L")


def _expanded(frame: Image.Image) -> Image.Image:
    if frame.has_transparency_data:
        return frame.convert("RGBA")
    return frame.convert("L" if frame.mode == "1" else "RGB")


def _in_srgb(frame: Image.Image, profile: bytes) -> Image.Image:
    if profile:
        try:
            return _converted(frame, profile)
        except (ImageCms.PyCMSError, OSError, ValueError):
            # A profile that does not fit its picture is worth less than none.
            pass
    return frame if frame.mode in ("L", "RGB", "RGBA") else frame.convert("RGB")


def _converted(frame: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if "srgb" in (ImageCms.getProfileDescription(source) or "").lower() and frame.mode != "CMYK":
        return frame if frame.mode in ("L", "RGB", "RGBA") else frame.convert("RGB")
    alpha = frame.getchannel("A") if frame.mode == "RGBA" else None
    base = frame.convert("RGB") if alpha else frame
    made = ImageCms.profileToProfile(base, source, SRGB, outputMode="RGB")
    if made is None:
        raise ValueError("not converted")
    if alpha:
        made.putalpha(alpha)
    return made
