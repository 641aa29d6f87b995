"""Finds the smallest file of a picture that is still the same picture.

Importing this imports Pillow and oxipng, so tools do it when they run. Whatever an
optimiser gives is decoded again: what differs from the input in a pixel, a frame or its time, or
which way is up, is not taken.
"""

import hashlib
import io
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import oxipng
from PIL import Image

from processors.tools.base import (
    InvalidOptions,
    OutputFile,
    ToolInput,
    ToolResult,
    UnsupportedMediaType,
)
from processors.tools.filenames import output_name
from processors.tools.image_optimizer import FORMATS as MEDIA_TYPES
from processors.tools.image_optimizer import ImageOptimizerOptions
from processors.tools.parsing import parsing
from processors.tools.picture_formats import BY_ENCODER, FORMATS, FormatName
from processors.tools.picture_options import PictureOptions
from processors.tools.picture_parts import BARE, is_lossless_webp
from processors.tools.picture_writing import write
from processors.tools.pixels import SIXTEEN_BIT_MODES, check_frames, decoding, opened, read
from processors.tools.stripping import orientation_of

LOSSY: frozenset[FormatName] = frozenset({"jpeg", "webp"})
AS_IT_WAS = "It cannot be made smaller this way; it is as it was."
TO_SIXTEEN_BITS = 257
"""Eight bits of a level repeated are the same level in sixteen."""

TRANSCODE = (
    "import sys, mozjpeg_lossless_optimization as mozjpeg;"
    "content = sys.stdin.buffer.read();"
    "sys.stdout.buffer.write(mozjpeg.optimize(content, copy=mozjpeg.COPY_MARKERS.ALL))"
)
Looks = list[tuple[str, int, int]]
"""Of each frame: what its pixels hash to, how long it stands, which way is up."""


def optimized(input_data: ToolInput, options: ImageOptimizerOptions) -> ToolResult:
    """The first input as the smallest file that was found."""
    file = input_data.files[0]
    with opened(file) as source:
        name = BY_ENCODER.get(source.format or "", "jpeg")
        _check_wishes(name, options)
        deep = source.mode in SIXTEEN_BIT_MODES
        looks = _looks(source, deep=deep)
        orientation = orientation_of(source)
    content = file.path.read_bytes()
    base = content
    if options.strip_metadata:
        with parsing():
            bare = BARE[FORMATS[name].encoder](content, orientation, profile=True)
        base = bare if len(bare) <= len(content) else content
    input_data.progress(0.3, "read")
    best = base
    for candidate in _candidates(name, base, options):
        if len(candidate) < len(best) and _is_same(candidate, looks, deep=deep):
            best = candidate
    if options.quality is not None:
        best = min(best, _lossy(input_data, name, options), key=len)
    return _result(input_data, name, best, is_as_it_was=best == content)


def _check_wishes(name: FormatName, options: ImageOptimizerOptions) -> None:
    if FORMATS[name].media_type not in MEDIA_TYPES:
        raise UnsupportedMediaType(f"A {name} is not optimised here.")
    if options.quality is not None and name not in LOSSY:
        raise InvalidOptions(f"quality: a {name} has no such choice.", field="quality")


def _candidates(
    name: FormatName, content: bytes, options: ImageOptimizerOptions
) -> Iterator[bytes]:
    """Files that may be smaller; an optimiser that fails has none."""
    try:
        if name == "jpeg":
            yield _transcoded(content)
        elif name == "png":
            yield oxipng.optimize_from_memory(content, level=options.effort)
        elif name == "gif" or is_lossless_webp(content):
            yield _written_again(name, content)
    except (ValueError, OSError, oxipng.PngError):
        return


def _transcoded(content: bytes) -> bytes:
    """What mozjpeg makes of a JPEG; raises ValueError.

    It ends its process over some damaged files, so it gets one of its own.
    """
    command = [sys.executable, "-I", "-c", TRANSCODE]
    done = subprocess.run(  # noqa: S603 (nothing in it comes from outside)
        command, input=content, capture_output=True, check=False
    )
    if done.returncode:
        raise ValueError(f"mozjpeg ended with {done.returncode}")
    return done.stdout


def _written_again(name: FormatName, content: bytes) -> bytes:
    """What Pillow makes of a GIF, or of a WebP that holds every pixel as it was."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(content)) as source:
        if name == "gif":
            source.save(stream, "GIF", save_all=getattr(source, "n_frames", 1) > 1, optimize=True)
        else:
            kept = {key: source.info[key] for key in ("icc_profile", "exif") if key in source.info}
            source.save(stream, "WEBP", lossless=True, exact=True, quality=100, method=6, **kept)
    return stream.getvalue()


def _is_same(candidate: bytes, looks: Looks, *, deep: bool) -> bool:
    with warnings.catch_warnings(), Image.open(io.BytesIO(candidate)) as source:
        warnings.simplefilter("ignore")
        return _looks(source, deep=deep) == looks


def _looks(source: Image.Image, *, deep: bool) -> Looks:
    looks = []
    with decoding():
        count = getattr(source, "n_frames", 1) if source.format != "MPO" else 1
        check_frames(source.size, count)
        orientation = orientation_of(source)
        for index in range(count):
            source.seek(index)
            source.load()
            pixels = (_deep(source) if deep else source.convert("RGBA")).tobytes()
            digest = hashlib.blake2b(pixels).hexdigest()
            looks.append((digest, int(source.info.get("duration") or 0), orientation))
        source.seek(0)
    return looks


def _deep(frame: Image.Image) -> Image.Image:
    if frame.mode in SIXTEEN_BIT_MODES:
        return frame.convert("I")
    return frame.convert("L").convert("I").point(lambda level: level * TO_SIXTEEN_BITS)


def _lossy(input_data: ToolInput, name: FormatName, options: ImageOptimizerOptions) -> bytes:
    wishes = PictureOptions(quality=options.quality, strip_metadata=options.strip_metadata)
    kind = FORMATS[name]
    with opened(input_data.files[0]) as source:
        picture = read(source, all_frames=kind.is_animated)
    path = input_data.folder / "lossy"
    write(picture, path, kind, wishes, lambda frame: frame)
    content = path.read_bytes()
    if name != "jpeg":
        return content
    return min(content, _transcoded(content), key=len)


def _result(
    input_data: ToolInput, name: FormatName, content: bytes, *, is_as_it_was: bool
) -> ToolResult:
    kind = FORMATS[name]
    path: Path = input_data.folder / f"output{kind.suffix}"
    path.write_bytes(content)
    output = OutputFile(output_name(input_data.files, kind.suffix), path, kind.media_type)
    return ToolResult((output,), (AS_IT_WAS,) if is_as_it_was else ())
