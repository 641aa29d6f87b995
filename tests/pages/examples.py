"""One real request for each tool: what its page shows before and after."""

import io
import math
import struct
import wave
import zipfile
from dataclasses import dataclass, field
from typing import Any, Final

import segno
from PIL import Image, ImageDraw, ImageFont

from tests.factories import files, office
from tests.factories.media import film

DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

TABLE = "name,born,worth\nAda,1815-12-10,012.50\nZoë,1990-01-31,7\nGrace,1906-12-09,1e3\n"
SUBTITLES = """1
00:00:01,000 --> 00:00:02,500
Good morning.

2
00:00:03,000 --> 00:00:04,200
Good night.
"""
MARKDOWN = """# Minutes

It was decided, *after* a long talk:

1. to **begin**,
2. to go on.

| who | what |
|-----|------|
| Ada | sums |
| Zoë | all else |

<script>alert("not kept")</script>
"""
DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" width="160" height="90">
  <rect width="160" height="90" fill="#204a87"/>
  <circle cx="45" cy="45" r="30" fill="#fcaf3e"/>
</svg>
"""


@dataclass(frozen=True)
class Given:
    """A file that goes in."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Example:
    """A request."""

    files: tuple[Given, ...]
    options: dict[str, Any] = field(default_factory=dict)


def photo(name: str = "photo.jpg", orientation: int = 6) -> Given:
    """A photo that a camera stored turned."""
    content = files.photo_jpeg(480, 320, orientation=orientation, gps=True)
    return Given(name, "image/jpeg", content)


def pdf(name: str = "letter.pdf", pages: int = 3, **options: Any) -> Given:
    """A PDF."""
    content = files.simple_pdf("Page {page} of a letter", pages, **options)
    return Given(name, "application/pdf", content)


def text(name: str, media_type: str, content: str) -> Given:
    """A text."""
    return Given(name, media_type, content.encode())


def archive(name: str = "things.zip") -> Given:
    """A ZIP."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for each, content in (("one.txt", "one\n"), ("folder/two.txt", "two\n")):
            opened.writestr(zipfile.ZipInfo(each), content)
    return Given(name, "application/zip", stream.getvalue())


def word(name: str = "brief.docx") -> Given:
    """A document as a word processor writes it."""
    return Given(name, DOCX, office.docx(office.paragraph("Dear Ada,"), office.paragraph("yes.")))


def sound(name: str = "tone.wav") -> Given:
    """Half a second of a tone."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(8_000)
        turns = (math.sin(2 * math.pi * 440 * n / 8_000) for n in range(4_000))
        opened.writeframes(b"".join(struct.pack("<h", int(9_000 * turn)) for turn in turns))
    return Given(name, "audio/wav", stream.getvalue())


def video(name: str = "holiday.mp4") -> Given:
    """A second of a test picture with a tone."""
    return Given(name, "video/mp4", film())


def code(name: str = "code.png") -> Given:
    """A picture of a QR code."""
    stream = io.BytesIO()
    segno.make("https://example.org/", micro=False).save(stream, kind="png", scale=4)
    return Given(name, "image/png", stream.getvalue())


def scan(name: str = "scan.png") -> Given:
    """A page as a scanner sees it."""
    page = Image.new("L", (420, 90), 255)
    font = ImageFont.load_default(size=36)
    ImageDraw.Draw(page).text((20, 20), "Invoice 2041, paid", fill=0, font=font)
    return Given(name, "image/png", files.encoded(page, "PNG"))


def framed(name: str = "framed.png") -> Given:
    """A picture with a wide border of one colour."""
    framed = Image.new("RGB", (360, 260), (240, 240, 235))
    framed.paste(files.photo(240, 160), (60, 50))
    return Given(name, "image/png", files.encoded(framed, "PNG"))


def text_file(content: str, name: str = "text.txt") -> Given:
    """A short text."""
    return text(name, "text/plain", content)


def examples() -> dict[str, Example]:
    """By the tool's name."""
    minutes = text("minutes.md", "text/markdown", MARKDOWN)
    table = text("people.csv", "text/csv", TABLE)
    two_files = (table, text_file("Some text.\n"))
    return {
        "archive-creator": Example(two_files),
        "archive-extractor": Example((archive(),)),
        "archive-lister": Example((archive(),)),
        "audio-converter": Example((sound(),)),
        "barcode-maker": Example((text_file("MTB-2041"),)),
        "checksum": Example((photo(),)),
        "code-reader": Example((code(),)),
        "document-converter": Example((minutes,), {"output_format": "docx"}),
        "docx-to-markdown": Example((word(),)),
        "heic-converter": Example((photo(),)),
        "image-converter": Example((photo(),)),
        "image-cropper": Example((framed(),), {"trim": True}),
        "image-optimizer": Example((framed(),)),
        "image-resizer": Example((photo(),), {"width": 120}),
        "image-watermark": Example((photo(),), {"text": "Draft"}),
        "images-to-pdf": Example((photo(), photo("second.jpg", 1))),
        "markdown-to-html": Example((minutes,), {"standalone": False}),
        "markdown-to-pdf": Example((minutes,)),
        "media-info": Example((sound(),)),
        "media-trimmer": Example((sound(),), {"duration": 0.25}),
        "metadata-stripper": Example((photo(),)),
        "ocr": Example((scan(),)),
        "pdf-compressor": Example((pdf(),)),
        "pdf-decrypter": Example((pdf(password="secret"),), {"password": "secret"}),
        "pdf-encrypter": Example((pdf(),), {"user_password": "secret"}),
        "pdf-merger": Example((pdf("one.pdf", 1), pdf("two.pdf", 2))),
        "pdf-rotator": Example((pdf(pages=1),)),
        "pdf-splitter": Example((pdf(),)),
        "pdf-to-images": Example((pdf(pages=2),)),
        "pdf-to-text": Example((pdf(),)),
        "qr-maker": Example((text_file("https://example.org/"),)),
        "subtitle-converter": Example((text("talk.srt", "application/x-subrip", SUBTITLES),)),
        "svg-to-image": Example((text("drawing.svg", "image/svg+xml", DRAWING),)),
        "table-converter": Example((table,), {"output_format": "json"}),
        "video-converter": Example((video(),), {"output_format": "webm"}),
        "video-thumbnailer": Example((video(),)),
    }
