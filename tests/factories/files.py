"""Makes the files that tests feed to tools and uploads.

Each call gives the same bytes again, save for files with a password.
"""

import datetime
import io
import struct
import zlib
from typing import Any

import pikepdf
import xlsxwriter
from PIL import Image, ImageDraw, ImageFilter

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 180, 60), (30, 60, 210), (250, 250, 250)
CORNERS = (RED, GREEN, BLUE, WHITE)
"""The corners of a photo as one sees it: top left, top right, bottom left, bottom right."""
EXIF_ORIENTATION, EXIF_MODEL, EXIF_GPS = 0x0112, 0x0110, 0x8825
CAMERA = "Factory Camera 1"
BOOK_MADE_AT = datetime.datetime(2024, 2, 29, 12, 0, 0, tzinfo=datetime.UTC)


def photo(width: int = 640, height: int = 480, mode: str = "RGB") -> Image.Image:
    """A picture with a sky, soft detail and four coloured corners."""
    sky = Image.linear_gradient("L").resize((width, height))
    noise = Image.frombytes("L", (64, 64), _noise(64 * 64)).resize((width, height))
    picture = Image.merge("RGB", (sky, noise.filter(ImageFilter.GaussianBlur(1)), sky.rotate(180)))
    pen = ImageDraw.Draw(picture)
    side_x, side_y = max(1, width // 6), max(1, height // 6)
    for index, colour in enumerate(CORNERS):
        left, top = (index % 2) * (width - side_x), (index // 2) * (height - side_y)
        pen.rectangle((left, top, left + side_x - 1, top + side_y - 1), fill=colour)
    return picture.convert(mode)


def photo_jpeg(
    width: int = 640,
    height: int = 480,
    *,
    orientation: int = 1,
    quality: int = 88,
    gps: bool = False,
) -> bytes:
    """A JPEG as a camera makes it: stored turned, with a note in its EXIF which way is up."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    exif[EXIF_MODEL] = CAMERA
    if gps:
        exif[EXIF_GPS] = {1: "N", 2: (48.0, 8.0, 6.0), 3: "E", 4: (11.0, 34.0, 31.0)}
    stored = _turned(photo(width, height), orientation)
    return encoded(stored, "JPEG", quality=quality, exif=exif.tobytes())


def encoded(picture: Image.Image, format_name: str, **options: Any) -> bytes:
    """The bytes of a picture in one of Pillow's formats."""
    stream = io.BytesIO()
    picture.save(stream, format_name, **options)
    return stream.getvalue()


def _turned(picture: Image.Image, orientation: int) -> Image.Image:
    # The inverse of what a viewer does for each value of the EXIF tag.
    turn = Image.Transpose
    steps = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_90,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_270,
    }
    return picture.transpose(steps[orientation]) if orientation in steps else picture


def _noise(length: int) -> bytes:
    state, values = 12345, bytearray()
    for _ in range(length):
        state = (state * 1103515245 + 12345) % 2**31
        values.append(state >> 16 & 0xFF)
    return bytes(values)


def cmyk_jpeg(width: int = 64, height: int = 48) -> bytes:
    """A JPEG as printers make it."""
    return encoded(photo(width, height, "CMYK"), "JPEG", quality=90)


def rgba_png(width: int = 64, height: int = 48) -> bytes:
    """A PNG whose left half is transparent and whose right half is a plain green."""
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    ImageDraw.Draw(picture).rectangle((width // 2, 0, width, height), fill=(*GREEN, 255))
    return encoded(picture, "PNG")


def sixteen_bit_png(width: int = 64, height: int = 48) -> bytes:
    """A greyscale PNG with 16 bits a pixel, dark on the left and bright on the right."""
    row = b"".join(struct.pack("<H", x * 65535 // (width - 1)) for x in range(width))
    return encoded(Image.frombytes("I;16", (width, height), row * height), "PNG")


def animated(
    format_name: str = "GIF", frames: int = 3, width: int = 32, height: int = 24, ms: int = 80
) -> bytes:
    """An animation in which every frame has another colour."""
    pictures = [
        Image.new("RGB", (width, height), (index * 60 % 256, index // 4 % 256, 90))
        for index in range(frames)
    ]
    return encoded(
        pictures[0],
        format_name,
        save_all=True,
        append_images=pictures[1:],
        duration=ms,
        loop=0,
    )


def sparse_gif(width: int, height: int, frames: int) -> bytes:
    """A GIF of a few bytes a frame, each of which changes one pixel of a large canvas."""
    header = struct.pack("<6sHHBBB", b"GIF89a", width, height, 0x80, 0, 0)
    frame = struct.pack("<BHHHHB", 0x2C, 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return header + b"\0\0\0\xff\xff\xff" + frame * frames + b";"


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""
    return _rgb_png(width, height, zlib.compress(b"\0" * 64))


def overfull_png(width: int = 12, height: int = 10, surplus_mib: int = 1_024) -> bytes:
    """A PNG of about a megabyte in plain green, whose pixels unpack to far more than it shows."""
    rows = (b"\0" + bytes(GREEN) * width) * height
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    shown = packer.compress(rows) + packer.flush(zlib.Z_FULL_FLUSH)
    # Without a look back, so it can be repeated.
    surplus = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = _adler32_with_zeros(zlib.adler32(rows), surplus_mib * 2**20)
    return _rgb_png(
        *(width, height),
        b"\x78\xda" + shown + surplus * surplus_mib + packer.flush() + struct.pack(">I", checksum),
    )


def _adler32_with_zeros(checksum: int, count: int) -> int:
    low, high = checksum & 0xFFFF, checksum >> 16
    return (high + count * low) % 65_521 << 16 | low


def _rgb_png(width: int, height: int, packed: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, body) for kind, body in chunks)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def truncated(file: bytes, kept: float = 0.6) -> bytes:
    """The first part of a file."""
    return file[: int(len(file) * kept)]


def simple_pdf(
    text: str = "Hello from page {page}",
    pages: int = 1,
    *,
    password: str | None = None,
    bookmarks: bool = False,
) -> bytes:
    """A PDF with one line of Latin text a page; `{page}` in it becomes the page's number."""
    document = pikepdf.new()
    font = document.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Font,
            Subtype=pikepdf.Name.Type1,
            BaseFont=pikepdf.Name.Helvetica,
            Encoding=pikepdf.Name.WinAnsiEncoding,
        )
    )
    for number in range(1, pages + 1):
        _add_page(document, font, text.replace("{page}", str(number)))
    if bookmarks:
        with document.open_outline() as outline:
            outline.root.extend(
                pikepdf.OutlineItem(f"Chapter {index + 1}", index) for index in range(pages)
            )
    stream = io.BytesIO()
    encryption = pikepdf.Encryption(owner=password, user=password, R=6) if password else None
    document.save(stream, static_id=not password, encryption=encryption)
    return stream.getvalue()


def _add_page(document: pikepdf.Pdf, font: pikepdf.Object, line: str) -> None:
    page = document.add_blank_page(page_size=(300, 200))
    escaped = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    content = f"BT /F1 12 Tf 20 100 Td ({escaped}) Tj ET".encode("latin-1")
    page.Contents = document.make_stream(content)
    page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))


def looping_pdf() -> bytes:
    """A PDF whose tree of pages leads back to itself."""
    objects = (
        b"1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj\n",
        b"2 0 obj <</Type /Pages /Count 1 /Kids [3 0 R]>> endobj\n",
        b"3 0 obj <</Type /Pages /Count 1 /Kids [2 0 R]>> endobj\n",
    )
    body, offsets = b"%PDF-1.7\n", []
    for content in objects:
        offsets.append(len(body))
        body += content
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer <</Size 4 /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(body)
    return body + b"xref\n0 4\n0000000000 65535 f \n" + table + trailer


def workbook(rows: list[list[Any]], sheet: str = "Sheet1") -> bytes:
    """An XLSX with one sheet; dates and numbers keep their types."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, "strings_to_formulas": False}) as book:
        book.set_properties({"created": BOOK_MADE_AT})
        page = book.add_worksheet(sheet)
        date_format = book.add_format({"num_format": "yyyy-mm-dd"})
        for row, cells in enumerate(rows):
            for column, value in enumerate(cells):
                if hasattr(value, "isoformat"):
                    page.write_datetime(row, column, value, date_format)
                else:
                    page.write(row, column, value)
    return stream.getvalue()


def sparse_workbook(row: int = 1_048_575, column: int = 16_383) -> bytes:
    """An XLSX of a few kilobytes whose two cells span the whole sheet."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        page = book.add_worksheet()
        page.write(0, 0, "first")
        page.write(row, column, "last")
    return stream.getvalue()
