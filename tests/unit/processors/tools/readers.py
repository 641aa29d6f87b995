"""Reads what tools made with other programs than those that made it."""

import io
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from PIL import Image

from tests.unit.processors.tools.workbench import Given, Made

SECONDS_MAX = 60.0


def needs(program: str, package: str) -> pytest.MarkDecorator:
    """Skips a test where a program of a Debian package is not there."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{package} is not there")


NEEDS_POPPLER = needs("pdftotext", "poppler-utils")
NEEDS_WEBP = needs("dwebp", "webp")


def pdf(content: bytes, filename: str = "report.pdf") -> Given:
    """A document for a tool."""
    return Given(content, filename, "application/pdf")


def png(content: bytes, filename: str = "a.png") -> Given:
    """A PNG for a tool."""
    return Given(content, filename, "image/png")


def lines(document: Made) -> list[str]:
    """The text of each page, as PDFium reads it."""
    reader = pypdfium2.PdfDocument(document.content)
    try:
        return [page.get_textpage().get_text_bounded() for page in reader]
    finally:
        reader.close()


def rendered(document: Made, page: int = 0, scale: float = 1.0) -> Image.Image:
    """How a page looks, as PDFium draws it."""
    reader = pypdfium2.PdfDocument(document.content)
    try:
        drawn: Image.Image = reader[page].render(scale=scale).to_pil().convert("RGB")
        return drawn
    finally:
        reader.close()


def told(command: list[str], content: bytes) -> bytes:
    """What a program prints of a file that is put where the command says `{}`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        done = subprocess.run(
            [str(path) if word == "{}" else word for word in command],
            capture_output=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


def pdfinfo(content: bytes, *options: str) -> dict[str, str]:
    """What poppler says of a document."""
    said = told(["pdfinfo", *options, "{}"], content).decode()
    pairs = (line.partition(":") for line in said.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def dwebp(content: bytes) -> Image.Image:
    """A still WebP, as libwebp's own program decodes it."""
    return Image.open(io.BytesIO(told(["dwebp", "-quiet", "{}", "-o", "-"], content)))


def opencv(content: bytes) -> Any:
    """The pixels of a picture, as OpenCV decodes them: rows of blue, green, red and alpha."""
    cv2 = pytest.importorskip("cv2")
    numpy = pytest.importorskip("numpy")
    return cv2.imdecode(numpy.frombuffer(content, numpy.uint8), cv2.IMREAD_UNCHANGED)
