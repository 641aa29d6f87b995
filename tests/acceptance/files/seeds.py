"""One whole file of each kind that tools parse: what gets damaged.

Those with a password are encrypted anew each time, so they differ from run to run.
"""

import io
import tarfile
import zipfile
from collections.abc import Callable

import pikepdf
import py7zr
import pyzipper
import segno
from PIL import Image

from tests.factories import files
from tests.factories.media import film, has_ffmpeg, sound
from tests.factories.office import docx, paragraph

PASSWORD = "correct horse"
SHUT = "shut "
"""With this begin the names of those that the password opens."""
TABLE = [["name", "born", "worth"], ["Ada", "1815-12-10", "12.50"], ["Zoë", "007", "1e3"]] * 8
SUBTITLES = "1\n00:00:01,000 --> 00:00:02,500\nHello\n\n2\n00:00:03,000 --> 00:00:04,000\nBye\n\n"
MARKDOWN = """# Title

Text with *stress*, `code` and a [link](https://example.org).

| a | b |
|---|---|
| 1 | 2 |

- one
- two
"""
SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30">
<rect width="9" height="9"/><text x="1" y="9">Hi</text></svg>
"""


def seeds() -> dict[str, bytes]:
    """A small file of each kind, by a name for people."""
    picture = files.photo(48, 36)
    table = "\n".join(",".join(row) for row in TABLE)
    return {
        "jpeg": files.photo_jpeg(64, 48, orientation=6, gps=True),
        "cmyk jpeg": files.cmyk_jpeg(),
        "png": files.encoded(picture, "PNG"),
        "rgba png": files.rgba_png(),
        "deep png": files.sixteen_bit_png(),
        "code": _code(),
        "gif": files.animated("GIF"),
        "webp": files.encoded(picture, "WEBP"),
        "animated webp": files.animated("WEBP"),
        "tiff": files.encoded(picture, "TIFF", compression="tiff_lzw"),
        "bmp": files.encoded(picture, "BMP"),
        "ico": files.encoded(picture.convert("RGBA"), "ICO"),
        "avif": files.encoded(picture, "AVIF"),
        "svg": SVG.encode(),
        "pdf": files.simple_pdf(pages=3, bookmarks=True),
        f"{SHUT}pdf": files.simple_pdf(pages=3, password=PASSWORD),
        "packed pdf": _packed(files.simple_pdf(pages=3)),
        "csv": table.encode(),
        "json": b'[{"name": "Ada", "worth": 12.5}, {"name": "Bob", "worth": null}]',
        "ndjson": b'{"name": "Ada", "n": 1}\n{"name": "Bob", "n": 2}\n',
        "xlsx": files.workbook([["name", "n"], ["Ada", 1], ["Bob", 2.5]]),
        "docx": docx(paragraph("Title", "Heading1"), paragraph("Hello"), image=files.rgba_png()),
        "zip": _zip(),
        f"{SHUT}zip": _shut_zip(),
        "7z": _seven_zip(),
        f"{SHUT}7z": _seven_zip(PASSWORD),
        "tar.gz": _tar("w:gz"),
        "tar.xz": _tar("w:xz"),
        "srt": SUBTITLES.encode(),
        "markdown": MARKDOWN.encode(),
        **({"mp4": film(), "webm": film("webm"), "mp3": sound()} if has_ffmpeg() else {}),
    }


def _code() -> bytes:
    """A QR code in a format without checksums: it can be read in spite of some damage."""
    stream = io.BytesIO()
    segno.make("Hello").save(stream, kind="png", scale=4)
    return files.encoded(Image.open(stream).convert("RGB"), "BMP")


def _packed(pdf: bytes) -> bytes:
    """With its objects in compressed streams, as most PDFs have them."""
    stream = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as document:
        document.save(stream, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return stream.getvalue()


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.txt", "one " * 50)
        archive.writestr("folder/two.txt", "two " * 50)
    return stream.getvalue()


def _shut_zip() -> bytes:
    stream = io.BytesIO()
    with pyzipper.AESZipFile(stream, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(PASSWORD.encode())
        archive.writestr("one.txt", "one " * 50)
    return stream.getvalue()


def _seven_zip(password: str | None = None) -> bytes:
    stream = io.BytesIO()
    with py7zr.SevenZipFile(stream, "w", password=password) as archive:
        archive.writestr("one " * 50, "one.txt")
        archive.writestr("two " * 50, "folder/two.txt")
    return stream.getvalue()


def _tar(mode: str) -> bytes:
    stream = io.BytesIO()
    opened: Callable[..., tarfile.TarFile] = tarfile.open
    with opened(fileobj=stream, mode=mode) as archive:
        for name in ("one.txt", "folder/two.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = 200
            archive.addfile(entry, io.BytesIO(b"word" * 50))
    return stream.getvalue()
