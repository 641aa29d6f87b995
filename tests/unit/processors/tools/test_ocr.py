"""The tool that reads letters."""

import io
import json
from typing import Any

import pikepdf
import pytest
from hypothesis import given, strategies
from PIL import Image, ImageDraw, ImageFont

from processors.tools import ocr_pages
from processors.tools.extras import is_installed
from processors.tools.ocr_lines import Line, in_reading_order, is_same_row
from processors.tools.pdf_active import STILL_THERE
from processors.tools.pdf_text_layer import TextLayer
from tests.factories import files
from tests.unit.processors.tools.readers import NEEDS_POPPLER, lines, pdf, png, rendered, told
from tests.unit.processors.tools.workbench import Given, Made, made, refused

NEEDS_OCR = pytest.mark.skipif(not is_installed("rapidocr"), reason="the extra ocr is not there")
WORDS = ("Invoice number 4711", "Total amount 98.50")


def scan(words: tuple[str, ...] = WORDS, mode: str = "L", angle: int = 0) -> Image.Image:
    """A page as a scanner sees it."""
    page = Image.new("L", (400, 360), 255)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(32)
    for row, text in enumerate(words):
        pen.text((30, 40 + 160 * row), text, fill=0, font=font)
    return page.convert(mode).rotate(angle, expand=True)


SCAN = png(files.encoded(scan(), "PNG"), "scan.png")


def scanned_pdf(rotate: int = 0, origin: int = 0, *, script: bool = False) -> bytes:
    """A PDF that is nothing but a picture, on a page that may be turned."""
    photo = scan(angle=rotate)
    stream = io.BytesIO()
    with pikepdf.new() as document:
        page = document.add_blank_page(page_size=photo.size)
        page.MediaBox = pikepdf.Array([origin, origin, origin + photo.width, origin + photo.height])
        page.Rotate = rotate
        if script:
            document.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="print()")
        picture = document.make_stream(
            photo.tobytes(),
            Type=pikepdf.Name.XObject,
            Subtype=pikepdf.Name.Image,
            Width=photo.width,
            Height=photo.height,
            ColorSpace=pikepdf.Name.DeviceGray,
            BitsPerComponent=8,
        )
        page.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Im0=picture))
        place = f"{photo.width} 0 0 {photo.height} {origin} {origin} cm /Im0 Do"
        page.Contents = document.make_stream(place.encode())
        document.save(stream)
    return stream.getvalue()


@NEEDS_OCR
async def test_the_words_of_a_scan_are_read() -> None:
    result = await made("ocr", SCAN)

    assert (result.name, result.media_type) == ("scan.txt", "text/plain")
    assert result.text.splitlines() == list(WORDS)


@NEEDS_OCR
async def test_every_line_tells_where_it_stands() -> None:
    result = await made("ocr", SCAN, output_format="json")

    (page,) = json.loads(result.text)["pages"]
    assert (page["page"], page["width"], page["height"]) == (1, 400, 360)
    assert [line["text"] for line in page["lines"]] == list(WORDS)
    left, top, right, bottom = page["lines"][1]["box"]
    assert 10 < left < 40 < 250 < right < 390
    assert 180 < top < 215 < bottom < 260
    assert page["lines"][0]["confidence"] > 0.8


@NEEDS_OCR
async def test_a_scanned_document_can_be_searched_and_is_as_before() -> None:
    document = scanned_pdf(90, origin=50, script=True)

    result = await made("ocr", pdf(document), output_format="pdf")

    assert (result.name, result.media_type) == ("report.pdf", "application/pdf")
    assert lines(Made("", "", document, ())) == [""]
    assert lines(result)[0].split() == " ".join(WORDS).split()
    assert rendered(result).tobytes() == rendered(Made("", "", document, ())).tobytes()
    assert result.notes == (STILL_THERE,)


@NEEDS_OCR
@NEEDS_POPPLER
async def test_poppler_finds_the_words_where_they_stand() -> None:
    result = await made("ocr", SCAN, output_format="pdf")

    assert told(["pdftotext", "{}", "-"], result.content).decode().split() == (
        " ".join(WORDS).split()
    )
    # The upper half of the page, which is 192 by 173 points large.
    upper = ["pdftotext", "-x", "0", "-y", "0", "-W", "192", "-H", "86", "{}", "-"]
    assert told(upper, result.content).decode().split() == WORDS[0].split()


@NEEDS_OCR
async def test_pictures_of_all_kinds_are_read_page_by_page() -> None:
    clear = Image.new("RGBA", (400, 360), (0, 0, 0, 0))
    clear.putalpha(scan().point(lambda level: 255 - level))
    pages = [scan(mode="1"), scan(mode="CMYK"), clear]
    tiff = files.encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])

    result = await made("ocr", Given(tiff, "scan.tiff", "image/tiff"))

    assert [page.splitlines() for page in result.text.split("\f")] == [list(WORDS)] * 3


@NEEDS_OCR
async def test_only_the_pages_asked_for_are_read() -> None:
    result = await made("ocr", pdf(files.simple_pdf("Page number {page}", 3)), pages="3,1")

    assert result.text == "Page number 3\n\fPage number 1\n"


@NEEDS_OCR
async def test_nothing_to_read_is_said() -> None:
    blank = png(files.encoded(Image.new("L", (200, 100), 255), "PNG"))

    assert (await refused("ocr", blank)).code == "NO_TEXT"


@NEEDS_OCR
async def test_pages_to_read_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr_pages, "PAGES_READ_MAX", 2)
    tiff = Given(files.animated("TIFF", 3), "scan.tiff", "image/tiff")

    assert (await refused("ocr", pdf(files.simple_pdf("A", 3)))).code == "TOO_MANY_PAGES"
    assert (await refused("ocr", tiff)).code == "TOO_MANY_PAGES"


BAD: dict[str, tuple[str, Given]] = {
    "a cut JPEG": ("CORRUPT_FILE", Given(files.truncated(files.photo_jpeg()))),
    "a huge PNG": ("DIMENSIONS_TOO_LARGE", png(files.png_header(100_000, 100_000))),
    "a shut document": ("PASSWORD_REQUIRED", pdf(files.simple_pdf(password="secret"))),
    "a cut document": ("CORRUPT_FILE", pdf(files.truncated(files.simple_pdf("A", 20)))),
    "a text": ("UNSUPPORTED_MEDIA_TYPE", png(b"Dear reader")),
    "nothing": ("EMPTY_FILE", png(b"")),
}


@NEEDS_OCR
@pytest.mark.parametrize("bad", list(BAD))
async def test_a_bad_file_is_refused_by_its_code(bad: str) -> None:
    code, file = BAD[bad]

    assert (await refused("ocr", file)).code == code


def line(text: str, left: float, top: float, height: float = 20) -> Line:
    return Line(text, left, top, left + 50, top + height, 1.0)


def test_what_stands_in_one_row_is_read_from_left_to_right() -> None:
    scattered = [line("d", 200, 103), line("a", 10, 0), line("c", 10, 100), line("b", 200, -4)]

    assert [each.text for each in in_reading_order(scattered)] == ["a", "b", "c", "d"]
    assert is_same_row(scattered[0], scattered[2])
    assert not is_same_row(scattered[0], scattered[1])


@given(
    strategies.lists(
        strategies.builds(
            line,
            strategies.text(min_size=1, max_size=3),
            strategies.floats(0, 1_000),
            strategies.floats(0, 1_000),
            strategies.floats(1, 50),
        )
    )
)
def test_putting_lines_in_order_loses_none(scattered: list[Line]) -> None:
    assert sorted(map(repr, in_reading_order(scattered))) == sorted(map(repr, scattered))


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@NEEDS_POPPLER
def test_hidden_text_lies_where_it_was_seen_however_a_page_is_turned(rotate: int) -> None:
    stream = io.BytesIO()
    with pikepdf.new() as document:
        page = document.add_blank_page(page_size=(300, 200))
        page.MediaBox = pikepdf.Array([30, 40, 330, 240])
        page.Rotate = rotate
        seen = (200, 300) if rotate in (90, 270) else (300, 200)
        # In a picture of the page with twice as many pixels.
        where = Line("Straße 中文", 20, 10, 160, 40, 1.0)
        TextLayer(document).add(0, (seen[0] * 2, seen[1] * 2), [where])
        document.save(stream)

    corner = ["pdftotext", "-x", "0", "-y", "0", "-W", "90", "-H", "30", "{}", "-"]
    assert told(corner, stream.getvalue()).decode().strip() == "Straße 中文"
    found: Any = lines(Made("", "", stream.getvalue(), ()))
    assert found == ["Straße 中文"]
