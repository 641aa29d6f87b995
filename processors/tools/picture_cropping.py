"""Finds out what is kept of a picture, and cuts it.

Importing this imports Pillow, so tools do it when they run.
"""

from PIL import Image, ImageChops

from processors.tools.base import InvalidOptions, ToolInput, ToolResult
from processors.tools.image_cropper import ImageCropperOptions
from processors.tools.picture_options import placed
from processors.tools.picture_writing import Shape, Size, reshape
from processors.tools.pixels import Picture, in_plain_colours

Box = tuple[int, int, int, int]
"""Left, top, right, bottom; right and bottom lie outside."""


def cropped(input_data: ToolInput, options: ImageCropperOptions) -> ToolResult:
    """The first input, cut; all frames alike."""

    def shape_of(picture: Picture) -> Shape:
        box = _box(picture, options)
        return lambda frame: frame.crop(box)

    return reshape(input_data, options, options.output_format, shape_of)


def _box(picture: Picture, options: ImageCropperOptions) -> Box:
    width, height = picture.frames[0].size
    box = (0, 0, width, height)
    sides = (options.width, options.height, options.left, options.top)
    is_asked = options.aspect is not None or any(side is not None for side in sides)
    if options.trim or not is_asked:
        box = _trimmed(picture, options.tolerance) or box
        if box == (0, 0, width, height):
            picture.notes.append("There is no border of one colour to trim.")
    return within(box, options)


def within(box: Box, options: ImageCropperOptions) -> Box:
    """The part of a box that the options ask for."""
    size = box[2] - box[0], box[3] - box[1]
    inner = _rectangle(size, options)
    if options.aspect is not None:
        part = _shaped((inner[2] - inner[0], inner[3] - inner[1]), options)
        inner = _moved(part, inner[0], inner[1])
    return _moved(inner, box[0], box[1])


def _moved(box: Box, x: int, y: int) -> Box:
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y


def _rectangle(size: Size, options: ImageCropperOptions) -> Box:
    wanted = (
        options.width or size[0] - (options.left or 0),
        options.height or size[1] - (options.top or 0),
    )
    open_left, open_top = placed(wanted, size, options.position)
    left = open_left if options.left is None else options.left
    top = open_top if options.top is None else options.top
    for axis, start, length, whole, names in (
        ("wide", left, wanted[0], size[0], ("width", "left")),
        ("high", top, wanted[1], size[1], ("height", "top")),
    ):
        if start < 0 or length < 1 or start + length > whole:
            field = names[0] if getattr(options, names[0]) else names[1]
            raise InvalidOptions(f"{field}: the picture is {whole} pixels {axis}.", field=field)
    return left, top, left + wanted[0], top + wanted[1]


def _shaped(size: Size, options: ImageCropperOptions) -> Box:
    across, down = (int(part) for part in (options.aspect or "1:1").split(":"))
    scale = min(size[0] / across, size[1] / down)
    width = min(size[0], max(1, round(across * scale)))
    height = min(size[1], max(1, round(down * scale)))
    left, top = placed((width, height), size, options.position)
    return left, top, left + width, top + height


def _trimmed(picture: Picture, tolerance: int) -> Box | None:
    """What is left without the border; None where there is nothing else."""
    boxes = [box for frame in picture.frames if (box := _content(frame, tolerance))]
    if not boxes:
        return None
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _content(frame: Image.Image, tolerance: int) -> Box | None:
    plain = in_plain_colours(frame, b"", sixteen_bits=False)
    if plain.mode == "RGBA" and plain.getpixel((0, 0))[3] <= tolerance:  # type: ignore[index]
        # What colour a transparent pixel has does not matter.
        return _above(plain.getchannel("A"), tolerance).getbbox()
    border = Image.new(plain.mode, plain.size, plain.getpixel((0, 0)))
    bands = ImageChops.difference(plain, border).split()
    differing = bands[0]
    for band in bands[1:]:
        differing = ImageChops.lighter(differing, band)
    return _above(differing, tolerance).getbbox()


def _above(band: Image.Image, tolerance: int) -> Image.Image:
    return band.point([0] * (tolerance + 1) + [255] * (255 - tolerance))
