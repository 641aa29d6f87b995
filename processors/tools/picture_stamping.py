"""Puts watermarks on pictures.

Importing this imports Pillow, so tools do it when they run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from PIL import Image, ImageColor, ImageDraw, ImageFont

from processors.tools.base import InvalidOptions, ToolInput, ToolResult
from processors.tools.image_watermark import ImageWatermarkOptions
from processors.tools.picture_options import placed
from processors.tools.picture_writing import Shape, Size, reshape
from processors.tools.pixels import (
    SIXTEEN_BIT_MODES,
    Picture,
    check_size,
    in_plain_colours,
    opened,
    read,
)

SYSTEM_FONTS = tuple(
    Path("/usr/share/fonts") / name
    for name in (
        "truetype/dejavu/DejaVuSans.ttf",
        "truetype/noto/NotoSans-Regular.ttf",
        "truetype/liberation/LiberationSans-Regular.ttf",
        "dejavu-sans-fonts/DejaVuSans.ttf",
        "opentype/noto/NotoSansCJK-Regular.ttc",
    )
)
"""Asked in this order for letters that the built-in font lacks."""
NOT_A_LETTER = "\uffff"
MEASURED_AT = 100
FONT_SIZE_MAX = 4_000
STROKE_PART = 24
"""An outline is that part of the size of the font."""
LIGHT_FROM = 128
STAMPS_MAX = 10_000
AIR = 2
"""Pixels round a text, for what letters have outside of their box."""

Font = ImageFont.FreeTypeFont


def stamped(input_data: ToolInput, options: ImageWatermarkOptions) -> ToolResult:
    """The first input with a watermark on every frame."""
    logo = _logo(input_data) if len(input_data.files) > 1 else None

    def shape_of(picture: Picture) -> Shape:
        size = picture.frames[0].size
        stamp = _finished(
            _scaled(logo, size, options) if logo else _written(size, options), options
        )
        places = list(_places(stamp.size, size, options))
        if picture.frames[0].mode in SIXTEEN_BIT_MODES:
            picture.notes.append("It had 16 bits a pixel and has 8 now.")
        return lambda frame: _marked(frame, stamp, places)

    return reshape(input_data, options, options.output_format, shape_of)


def _logo(input_data: ToolInput) -> Image.Image:
    with opened(input_data.files[1]) as source:
        picture = read(source, all_frames=False)
    plain = in_plain_colours(picture.frames[0], picture.profile, sixteen_bits=False)
    return plain.convert("RGBA")


def _scaled(logo: Image.Image, size: Size, options: ImageWatermarkOptions) -> Image.Image:
    width = max(1, size[0] * options.size // 100)
    # Within the picture, whatever its shape.
    scale = min(width / logo.width, size[1] / logo.height)
    return logo.resize(
        (max(1, round(logo.width * scale)), max(1, round(logo.height * scale))),
        Image.Resampling.LANCZOS,
    )


def _written(size: Size, options: ImageWatermarkOptions) -> Image.Image:
    text = "\n".join(line.rstrip() for line in options.text.splitlines())
    wide, high = _extent(text, _font(text, MEASURED_AT))
    wanted = size[0] * options.size / 100
    scale = min(wanted / max(wide, 1), size[1] / max(high, 1))
    font = _font(text, max(1, min(FONT_SIZE_MAX, int(MEASURED_AT * scale))))
    stroke = max(1, int(font.size) // STROKE_PART)
    left, top, right, bottom = _box(text, font, stroke)
    air = stroke + AIR
    extent = int(right - left) + 2 * air, int(bottom - top) + 2 * air
    check_size(extent)
    colour = ImageColor.getrgb(options.colour)
    outline = (0, 0, 0) if _is_light(colour) else (255, 255, 255)
    stamp = Image.new("RGBA", extent, (*outline, 0))
    ImageDraw.Draw(stamp).multiline_text(
        (air - left, air - top),
        text,
        (*colour[:3], 255),
        font,
        stroke_width=stroke,
        stroke_fill=(*outline, 255),
    )
    return stamp


def _extent(text: str, font: Font) -> tuple[float, float]:
    left, top, right, bottom = _box(text, font, max(1, MEASURED_AT // STROKE_PART))
    return right - left, bottom - top


def _box(text: str, font: Font, stroke: int) -> tuple[float, float, float, float]:
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    return pen.multiline_textbbox((0, 0), text, font, stroke_width=stroke)


def _font(text: str, size: int) -> Font:
    """The first font that has all letters of a text."""
    built_in = cast(Font, ImageFont.load_default(size))
    lacking = _lacking(text, built_in)
    if not lacking:
        return built_in
    for path in SYSTEM_FONTS:
        if path.exists() and not _lacking(text, font := ImageFont.truetype(path, size)):
            return font
    raise InvalidOptions(f"text: no font here has the letters {lacking}.", field="text")


def _lacking(text: str, font: Font) -> str:
    letters = dict.fromkeys(letter for letter in text if not letter.isspace())
    box = bytes(font.getmask(NOT_A_LETTER))
    return "".join(letter for letter in letters if bytes(font.getmask(letter)) == box)


def _is_light(colour: tuple[int, ...]) -> bool:
    red, green, blue = colour[:3]
    return (299 * red + 587 * green + 114 * blue) / 1000 >= LIGHT_FROM


def _finished(stamp: Image.Image, options: ImageWatermarkOptions) -> Image.Image:
    if options.angle:
        stamp = stamp.rotate(options.angle, Image.Resampling.BICUBIC, expand=True)
    alpha = stamp.getchannel("A").point(lambda level: level * (options.opacity / 100))
    stamp.putalpha(alpha)
    return stamp


def _places(stamp: Size, size: Size, options: ImageWatermarkOptions) -> Iterator[tuple[int, int]]:
    margin = min(size) * options.margin // 100
    if not options.tile:
        yield placed(stamp, size, options.position, margin)
        return
    step_x, step_y = stamp[0] + margin, stamp[1] + margin
    if (size[0] // step_x + 1) * (size[1] // step_y + 1) > STAMPS_MAX:
        raise InvalidOptions(
            f"size: the picture would get more than {STAMPS_MAX} watermarks.", field="size"
        )
    for row, y in enumerate(range(0, size[1], step_y)):
        # Every other row is shifted, as bricks are.
        for x in range(-(step_x // 2) * (row % 2), size[0], step_x):
            yield x, y


def _marked(frame: Image.Image, stamp: Image.Image, places: list[tuple[int, int]]) -> Image.Image:
    plain = in_plain_colours(frame, b"", sixteen_bits=False)
    ground = plain.copy() if plain.mode == "RGBA" else plain.convert("RGBA")
    for x, y in places:
        # What stands over is cut off.
        source = (max(0, -x), max(0, -y))
        if source[0] < stamp.width and source[1] < stamp.height:
            ground.alpha_composite(stamp, (max(0, x), max(0, y)), source)
    return ground if plain.mode == "RGBA" else ground.convert("RGB")
