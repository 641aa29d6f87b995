"""Puts pictures on the pages of a PDF document with qpdf.

Importing this imports pikepdf and Pillow, so tools do it when they run.
"""

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pikepdf import Array, Dictionary, Name, Object, Pdf
from PIL import Image, ImageCms

from processors.tools.base import (
    InputFile,
    OutputFile,
    ToolInput,
    ToolProcessingError,
    ToolResult,
    TooManyPages,
)
from processors.tools.documents import PDF
from processors.tools.filenames import output_name
from processors.tools.images_to_pdf import ImagesToPdfOptions, PageSize
from processors.tools.pdf_documents import write_plainly
from processors.tools.picture_parts import bare_jpeg
from processors.tools.pixels import in_plain_colours, opened, read
from processors.tools.stripping import decode_all, orientation_of

POINTS_PER_INCH, MM_PER_INCH = 72, 25.4
PAGES_MAX = 1_000
SIDE_POINTS_MAX = 14_400
"""What a page may measure by the standard."""
SIDE_POINTS_MIN = 3
SHEETS: dict[PageSize, tuple[float, float]] = {
    "a3": (841.89, 1190.55),
    "a4": (595.28, 841.89),
    "a5": (419.53, 595.28),
    "letter": (612, 792),
    "legal": (612, 1008),
}
SPACES = {"L": Name.DeviceGray, "RGB": Name.DeviceRGB, "CMYK": Name.DeviceCMYK}
COMPONENTS = {"L": 1, "RGB": 3, "CMYK": 4}
PROFILE_KINDS = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}
Matrix = tuple[float, float, float, float, float, float]
UPRIGHT: dict[int, Matrix] = {
    1: (1, 0, 0, 1, 0, 0),
    2: (-1, 0, 0, 1, 1, 0),
    3: (-1, 0, 0, -1, 1, 1),
    4: (1, 0, 0, -1, 0, 1),
    5: (0, -1, -1, 0, 1, 1),
    6: (0, -1, 1, 0, 0, 1),
    7: (0, 1, 1, 0, 0, 0),
    8: (0, 1, -1, 0, 1, 0),
}
"""How the unit square of a picture is put upright, by the orientation in its EXIF."""
SWAPPED_FROM = 5
"""From this orientation on, width and height change places."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture in a document, and how large it is as one sees it."""

    stream: Object
    size: tuple[int, int]
    orientation: int = 1


def pictured(input_data: ToolInput, options: ImagesToPdfOptions) -> ToolResult:
    """One document with all pictures."""
    path, files = input_data.folder / "pictures.pdf", input_data.files
    with Pdf.new() as document:
        for number, file in enumerate(files, 1):
            for picture in _pictures(document, file, number if len(files) > 1 else None):
                if len(document.pages) == PAGES_MAX:
                    raise TooManyPages(f"The pictures are more than {PAGES_MAX} pages.")
                _add_page(document, picture, options)
            input_data.progress(number / len(files), f"{number} of {len(files)}")
        write_plainly(document, path)
    return ToolResult((OutputFile(output_name(files, ".pdf"), path, PDF),))


def _pictures(document: Pdf, file: InputFile, number: int | None) -> Iterator[Placed]:
    """The picture of a file, or the pages of a TIFF."""
    with _naming(number), opened(file) as source:
        if source.format in ("JPEG", "MPO") and source.mode in SPACES:
            yield _as_it_is(document, source, file)
            return
        picture = read(source, all_frames=source.format == "TIFF")
        for frame in picture.frames:
            plain = in_plain_colours(frame, picture.profile, sixteen_bits=False)
            yield Placed(_without_loss(document, plain), plain.size)


@contextmanager
def _naming(number: int | None) -> Iterator[None]:
    """Say in an error which of several files is at fault."""
    try:
        yield
    except ToolProcessingError as error:
        if number is not None:
            error.message = f"File {number}: {error.message}"
        raise


def _as_it_is(document: Pdf, source: Image.Image, file: InputFile) -> Placed:
    decode_all(source)
    orientation = orientation_of(source)
    width, height = source.size
    stream = document.make_stream(
        bare_jpeg(file.path.read_bytes(), 1, profile=False),
        **_about(source.size, _space(document, source)),
    )
    stream.Filter = Name.DCTDecode
    if source.mode == "CMYK" and "adobe" in source.info:
        # Adobe's programs write ink as its absence.
        stream.Decode = Array([1, 0] * COMPONENTS["CMYK"])
    size = (height, width) if orientation >= SWAPPED_FROM else (width, height)
    return Placed(stream, size, orientation)


def _about(size: tuple[int, int], space: Object) -> dict[str, object]:
    return {
        "Type": Name.XObject,
        "Subtype": Name.Image,
        "Width": size[0],
        "Height": size[1],
        "ColorSpace": space,
        "BitsPerComponent": 8,
    }


def _space(document: Pdf, source: Image.Image) -> Object:
    profile = source.info.get("icc_profile")
    if not profile or not _fits(profile, source.mode):
        return SPACES[source.mode]
    stream = document.make_stream(profile, N=COMPONENTS[source.mode])
    return Array([Name.ICCBased, stream])


def _fits(profile: bytes, mode: str) -> bool:
    try:
        kind = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space
    except (OSError, ImageCms.PyCMSError):
        return False
    return PROFILE_KINDS.get(kind) == mode


def _without_loss(document: Pdf, frame: Image.Image) -> Object:
    alpha = frame.getchannel("A") if frame.mode == "RGBA" else None
    base = frame.convert("RGB") if alpha else frame
    stream = _flate(document, base)
    if alpha is not None and alpha.getextrema() != (255, 255):
        stream.SMask = _flate(document, alpha)
    return stream


def _flate(document: Pdf, frame: Image.Image) -> Object:
    stream = document.make_stream(
        zlib.compress(frame.tobytes()), **_about(frame.size, SPACES[frame.mode])
    )
    stream.Filter = Name.FlateDecode
    return document.make_indirect(stream)


def _add_page(document: Pdf, picture: Placed, options: ImagesToPdfOptions) -> None:
    width, height = _sheet(picture.size, options)
    margin = options.margin / MM_PER_INCH * POINTS_PER_INCH
    room = width - 2 * margin, height - 2 * margin
    scale = min(room[0] / picture.size[0], room[1] / picture.size[1])
    wide, high = picture.size[0] * scale, picture.size[1] * scale
    a, b, c, d, e, f = UPRIGHT[picture.orientation]
    x, y = (width - wide) / 2, (height - high) / 2
    matrix = (a * wide, b * high, c * wide, d * high, e * wide + x, f * high + y)
    page = document.add_blank_page(page_size=(width, height))
    page.Resources = Dictionary(XObject=Dictionary(Picture=picture.stream))
    numbers = " ".join(f"{number:.4f}" for number in matrix)
    page.Contents = document.make_stream(f"q {numbers} cm /Picture Do Q".encode())


def _sheet(size: tuple[int, int], options: ImagesToPdfOptions) -> tuple[float, float]:
    if options.page_size != "picture":
        short, long = SHEETS[options.page_size]
        return (long, short) if size[0] > size[1] else (short, long)
    margins = 2 * options.margin / MM_PER_INCH * POINTS_PER_INCH
    scale = POINTS_PER_INCH / options.dpi
    # What is longer than a page may be is put on the largest page that there is.
    scale = min(scale, (SIDE_POINTS_MAX - margins) / max(size))
    width, height = (max(SIDE_POINTS_MIN, side * scale) + margins for side in size)
    return width, height
