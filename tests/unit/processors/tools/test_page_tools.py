"""The tools between pages and pictures: pdf-to-images, images-to-pdf and svg-to-image."""

import base64
import io
import tempfile
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from PIL import Image, ImageCms

from processors.tools import pdf_drawing, pdf_picturing, svg_reading
from processors.tools.extras import is_installed
from tests.factories import files
from tests.unit.processors.tools.readers import (
    NEEDS_POPPLER,
    NEEDS_WEBP,
    dwebp,
    opencv,
    pdf,
    pdfinfo,
    png,
    rendered,
    told,
)
from tests.unit.processors.tools.workbench import Given, Made, made, made_all, refused

NEEDS_IMAGES = pytest.mark.skipif(
    not is_installed("resvg_py"), reason="the extra images is not there"
)
FIVE = files.simple_pdf("Page {page}", 5)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


async def test_every_page_becomes_a_picture() -> None:
    pictures = await made_all("pdf-to-images", pdf(FIVE), dpi=72)

    assert [picture.name for picture in pictures] == [f"report-{n}.png" for n in range(1, 6)]
    assert {picture.picture.size for picture in pictures} == {(300, 200)}
    assert len({picture.content for picture in pictures}) == 5


@pytest.mark.parametrize("target", ["png", "jpeg", "webp"])
async def test_pages_are_drawn_in_the_resolution_that_is_wished(target: str) -> None:
    pictures = await made_all("pdf-to-images", pdf(FIVE), pages="4-,2", output_format=target)

    assert [picture.name.rpartition("-")[2][0] for picture in pictures] == ["4", "5", "2"]
    assert {picture.picture.size for picture in pictures} == {(625, 417)}
    assert pictures[0].media_type == f"image/{target}"


async def test_opencv_sees_the_letters_on_white() -> None:
    (picture,) = await made_all("pdf-to-images", pdf(FIVE), pages="1")

    pixels = opencv(picture.content)
    assert pixels[5, 5].tolist() == [255, 255, 255]
    assert pixels.min() < 60


@NEEDS_POPPLER
async def test_poppler_draws_nearly_the_same() -> None:
    (picture,) = await made_all("pdf-to-images", pdf(FIVE), pages="1", dpi=72)

    other = Image.open(io.BytesIO(told(["pdftoppm", "-r", "72", "-f", "1", "-l", "1", "{}"], FIVE)))
    assert other.size == picture.picture.size
    ink = [image.convert("L").resize((1, 1)).getpixel((0, 0)) for image in (other, picture.picture)]
    assert ink[0] == pytest.approx(ink[1], abs=3)


async def test_the_fields_of_a_form_are_drawn() -> None:
    stream = io.BytesIO()
    with pikepdf.open(io.BytesIO(files.simple_pdf(""))) as document:
        look = document.make_stream(
            b"0 0 1 rg 0 0 80 40 re f",
            Type=pikepdf.Name.XObject,
            Subtype=pikepdf.Name.Form,
            BBox=[0, 0, 80, 40],
        )
        field = document.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Annot,
                Subtype=pikepdf.Name.Widget,
                FT=pikepdf.Name.Tx,
                T="name",
                F=4,
                Rect=[20, 20, 100, 60],
                AP=pikepdf.Dictionary(N=look),
            )
        )
        document.pages[0].Annots = pikepdf.Array([field])
        document.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array([field]))
        document.save(stream)

    (picture,) = await made_all("pdf-to-images", pdf(stream.getvalue()), dpi=72)

    red, _, blue = picture.picture.convert("RGB").getpixel((60, 160))  # type: ignore[misc]
    assert blue > red


def sized_pdf(width: float, height: float) -> bytes:
    stream = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page(page_size=(100, 100)).MediaBox = pikepdf.Array(
            [0, 0, int(width), int(height)]
        )
        document.save(stream)
    return stream.getvalue()


BAD_PDF: dict[str, tuple[str, bytes]] = {
    "with a password": ("PASSWORD_REQUIRED", files.simple_pdf(password="secret")),
    "garbage": ("CORRUPT_FILE", b"%PDF-1.7\ngarbage\n%%EOF\n"),
    "cut short": ("CORRUPT_FILE", files.truncated(files.simple_pdf("A", 20))),
    "a loop of references": ("CORRUPT_FILE", files.looping_pdf()),
    "a huge page": ("DIMENSIONS_TOO_LARGE", sized_pdf(1e6, 1e6)),
    "too many pages": ("TOO_MANY_PAGES", files.simple_pdf("A", 201)),
    "a picture": ("UNSUPPORTED_MEDIA_TYPE", files.rgba_png()),
    "empty": ("EMPTY_FILE", b""),
}


@pytest.mark.parametrize("bad", list(BAD_PDF))
async def test_a_bad_document_is_refused_by_its_code(bad: str) -> None:
    code, content = BAD_PDF[bad]

    assert (await refused("pdf-to-images", pdf(content))).code == code


async def test_pages_that_are_not_there_are_refused() -> None:
    error = await refused("pdf-to-images", pdf(FIVE), pages="6")

    assert (error.code, error.field) == ("INVALID_OPTIONS", "pages")
    assert pdf_drawing.PAGES_AT_ONCE_MAX <= 1_000


def corners_of(document: Made) -> list[Any]:
    page = rendered(document)
    right, bottom = page.width - 6, page.height - 6
    return [page.getpixel(point) for point in ((5, 5), (right, 5), (5, bottom), (right, bottom))]


def is_upright(document: Made) -> bool:
    pairs = zip(corners_of(document), files.CORNERS, strict=True)
    return all(seen == pytest.approx(wanted, abs=24) for seen, wanted in pairs)


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_a_photo_lies_upright_on_its_page_and_is_not_encoded_anew(orientation: int) -> None:
    photo = files.photo_jpeg(320, 200, orientation=orientation, gps=True)

    result = await made("images-to-pdf", Given(photo), dpi=72)

    assert (result.name, result.media_type) == ("photo.pdf", "application/pdf")
    assert rendered(result).size == (320, 200)
    assert is_upright(result)
    assert files.CAMERA.encode() not in result.content
    with pikepdf.open(io.BytesIO(result.content)) as document:
        (image,) = document.pages[0].get_images().values()
        stored = Image.open(io.BytesIO(image.read_raw_bytes()))
        assert stored.tobytes() == Image.open(io.BytesIO(photo)).tobytes()


PICTURES: dict[str, bytes] = {
    "png": files.encoded(files.photo(320, 240), "PNG"),
    "png-palette": files.encoded(files.photo(320, 240).quantize(64), "PNG"),
    "gif": files.encoded(files.photo(320, 240), "GIF"),
    "webp": files.encoded(files.photo(320, 240), "WEBP", quality=95),
    "jpeg-profile": files.encoded(files.photo(320, 240), "JPEG", quality=95, icc_profile=SRGB),
    "jpeg-false-profile": files.encoded(
        files.photo(320, 240), "JPEG", quality=95, icc_profile=b"x" * 200
    ),
}


@pytest.mark.parametrize("kind", list(PICTURES))
async def test_every_kind_of_picture_becomes_a_page(kind: str) -> None:
    assert is_upright(await made("images-to-pdf", Given(PICTURES[kind]), dpi=72))


async def test_print_colours_are_not_turned_into_their_opposite() -> None:
    photo = files.cmyk_jpeg(320, 240)

    result = await made("images-to-pdf", Given(photo), dpi=72)

    for seen, wanted in zip(corners_of(result), files.CORNERS, strict=True):
        assert seen == pytest.approx(wanted, abs=70)


async def test_transparency_stays_and_shows_the_page() -> None:
    result = await made("images-to-pdf", png(files.rgba_png(320, 240)), dpi=72)

    page = rendered(result)
    assert page.getpixel((10, 100)) == (255, 255, 255)
    assert page.getpixel((300, 100)) == pytest.approx(files.GREEN, abs=2)


async def test_sixteen_bits_are_scaled() -> None:
    result = await made("images-to-pdf", png(files.sixteen_bit_png()), dpi=72)

    assert rendered(result).getpixel((60, 20))[0] == pytest.approx(246, abs=8)  # type: ignore[index]


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (144, 96)),
        ({"dpi": 300}, (72, 48)),
        ({"dpi": 300, "margin": 25.4}, (216, 192)),
        ({"page_size": "a4"}, (842, 595)),
        ({"page_size": "letter", "margin": 10}, (792, 612)),
    ],
)
async def test_a_page_has_the_size_that_is_wished(
    options: dict[str, Any], size: tuple[int, int]
) -> None:
    result = await made("images-to-pdf", Given(files.photo_jpeg(300, 200)), **options)

    assert rendered(result).size == pytest.approx(size, abs=1)


async def test_margins_stay_white() -> None:
    black = png(files.encoded(Image.new("L", (100, 100)), "PNG"))

    page = rendered(await made("images-to-pdf", black, page_size="a5", margin=20))

    margin = round(20 / 25.4 * 72)
    assert page.getpixel((margin - 3, page.height // 2)) == (255, 255, 255)
    assert page.getpixel((margin + 3, page.height // 2)) == (0, 0, 0)


async def test_pictures_come_in_the_order_given_and_a_tiff_with_all_its_pages() -> None:
    tiff = Given(files.animated("TIFF", 3), "scan.tiff", "image/tiff")
    gif = Given(files.animated("GIF", 3), "a.gif", "image/gif")

    result = await made("images-to-pdf", tiff, gif, png(files.rgba_png()))

    with pikepdf.open(io.BytesIO(result.content)) as document:
        assert len(document.pages) == 5
    assert result.name == "scan.pdf"


@NEEDS_POPPLER
async def test_poppler_finds_the_photo_as_it_was() -> None:
    photo = files.photo_jpeg(320, 240)

    result = await made("images-to-pdf", Given(photo), Given(photo), page_size="a4")

    assert pdfinfo(result.content)["Pages"] == "2"
    listed = told(["pdfimages", "-list", "{}"], result.content).decode()
    assert listed.count("jpeg") == 2


async def test_the_picture_at_fault_is_named_by_its_number() -> None:
    error = await refused("images-to-pdf", Given(files.photo_jpeg()), Given(b"no picture"))

    assert (error.code, error.message[:7]) == ("UNSUPPORTED_MEDIA_TYPE", "File 2:")


async def test_pages_of_pictures_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_picturing, "PAGES_MAX", 2)
    tiff = Given(files.animated("TIFF", 3), "scan.tiff", "image/tiff")

    assert (await refused("images-to-pdf", tiff)).code == "TOO_MANY_PAGES"


BAD_PICTURES: dict[str, tuple[str, bytes]] = {
    "cut short": ("CORRUPT_FILE", files.truncated(files.photo_jpeg())),
    "a cut PNG": ("CORRUPT_FILE", files.truncated(files.rgba_png())),
    "huge": ("DIMENSIONS_TOO_LARGE", files.png_header(100_000, 100_000)),
    "a document": ("UNSUPPORTED_MEDIA_TYPE", FIVE),
    "empty": ("EMPTY_FILE", b""),
}


@pytest.mark.parametrize("bad", list(BAD_PICTURES))
async def test_a_bad_picture_is_refused_by_its_code(bad: str) -> None:
    code, content = BAD_PICTURES[bad]

    assert (await refused("images-to-pdf", Given(content))).code == code


async def test_a_picture_longer_than_a_page_may_be_is_made_to_fit() -> None:
    long = png(files.encoded(Image.new("L", (40_000, 10)), "PNG"))

    result = await made("images-to-pdf", long, dpi=36)

    with pikepdf.open(io.BytesIO(result.content)) as document:
        assert float(document.pages[0].mediabox[2]) <= 14_400


def svg(body: str = "", attributes: str = 'width="100" height="50"', before: str = "") -> Given:
    text = (
        f'{before}<svg xmlns="http://www.w3.org/2000/svg"'
        f' xmlns:xlink="http://www.w3.org/1999/xlink" {attributes}>{body}</svg>'
    )
    return Given(text.encode(), "logo.svg", "image/svg+xml")


RED_BOX = '<rect width="50" height="50" fill="#f00"/>'


@NEEDS_IMAGES
@pytest.mark.parametrize(
    ("attributes", "options", "size"),
    [
        ('width="100" height="50"', {}, (100, 50)),
        ('width="100" height="50"', {"scale": 2.5}, (250, 125)),
        ('width="100" height="50"', {"width": 40}, (40, 20)),
        ('width="100" height="50"', {"height": 100}, (200, 100)),
        ('width="100" height="50"', {"width": 100, "height": 100}, (100, 50)),
        ('viewBox="0 0 24 24"', {}, (24, 24)),
        ('viewBox="0 0 24 24" width="100%"', {"width": 512}, (512, 512)),
        ('viewBox="0 0 200 100" width="1in"', {}, (96, 48)),
        ('viewBox="0 0 200 100" height="2em"', {}, (64, 32)),
        ("", {}, (300, 150)),
        ('width="10mm" height="10mm"', {}, (38, 38)),
    ],
)
async def test_a_drawing_gets_its_own_size_or_another(
    attributes: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    result = await made("svg-to-image", svg(RED_BOX, attributes), **options)

    assert (result.name, result.media_type) == ("logo.png", "image/png")
    assert result.picture.size == size
    assert result.picture.getpixel((1, 1)) == (255, 0, 0, 255)


@NEEDS_IMAGES
async def test_a_drawing_is_transparent_unless_there_is_a_background() -> None:
    clear = await made("svg-to-image", svg(RED_BOX))
    blue = await made("svg-to-image", svg(RED_BOX), background="#0000ff")
    jpeg = await made("svg-to-image", svg(RED_BOX), output_format="jpeg", quality=100)

    assert clear.picture.getpixel((75, 25)) == (0, 0, 0, 0)
    assert blue.picture.getpixel((75, 25)) == (0, 0, 255, 255)
    assert jpeg.picture.getpixel((75, 25)) == pytest.approx((255, 255, 255), abs=3)
    assert opencv(clear.content)[25, 25].tolist() == [0, 0, 255, 255]


@NEEDS_IMAGES
@NEEDS_WEBP
async def test_a_drawn_webp_is_one_for_libwebp_too() -> None:
    result = await made("svg-to-image", svg(RED_BOX), output_format="webp", quality=100)

    drawn = dwebp(result.content).convert("RGBA")
    assert drawn.getpixel((75, 25))[3] == 0  # type: ignore[index]
    assert drawn.getpixel((25, 25)) == pytest.approx((255, 0, 0, 255), abs=6)


@NEEDS_IMAGES
async def test_entities_and_a_document_type_are_no_harm() -> None:
    before = '<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY red "#f00">]>'

    result = await made(
        "svg-to-image", svg('<rect width="50" height="50" fill="&red;"/>', before=before)
    )

    assert result.picture.getpixel((25, 25)) == (255, 0, 0, 255)


def data_uri(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


GREEN_PNG = files.encoded(Image.new("RGB", (8, 8), (0, 255, 0)), "PNG")


@NEEDS_IMAGES
@pytest.mark.parametrize("attribute", ["href", "xlink:href"])
async def test_only_pictures_in_the_drawing_itself_are_drawn(attribute: str) -> None:
    within = f'<image {attribute}="{data_uri(GREEN_PNG)}" width="50" height="50"/>'

    result = await made("svg-to-image", svg(within))

    assert result.picture.getpixel((25, 25)) == (0, 255, 0, 255)
    assert result.notes == ()


@NEEDS_IMAGES
@pytest.mark.parametrize("way", ["{path}", "file://{path}", "../../../../../../../..{path}"])
@pytest.mark.parametrize("attribute", ["href", "xlink:href"])
async def test_no_file_outside_of_the_drawing_is_read(way: str, attribute: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "secret.png"
        path.write_bytes(GREEN_PNG)
        outside = f'<image {attribute}="{way.format(path=path)}" width="50" height="50"/>'

        result = await made("svg-to-image", svg(outside))

    assert result.picture.getpixel((25, 25)) == (0, 0, 0, 0)
    assert result.notes == ("References to other files that were left out: 1.",)


@NEEDS_IMAGES
@pytest.mark.parametrize(
    "body",
    [
        '<image href="http://127.0.0.1:1/a.png" width="9" height="9"/>',
        '<style>@import url("http://127.0.0.1:1/a.css");</style>',
        '<use href="http://127.0.0.1:1/a.svg#x"/>',
        f'<image href="{data_uri(b"<svg/>", "image/svg+xml")}" width="9" height="9"/>',
        "<script>while (true) {}</script>",
    ],
)
async def test_what_is_outside_or_runs_is_ignored(body: str) -> None:
    result = await made("svg-to-image", svg(RED_BOX + body))

    assert result.picture.getpixel((25, 25)) == (255, 0, 0, 255)


def laughs() -> str:
    levels = "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE svg [<!ENTITY lol0 "lol lol lol">{levels}]>'


def uses() -> str:
    levels = "".join(
        f'<g id="g{n}">{f"<use href={chr(34)}#g{n - 1}{chr(34)}/>" * 10}</g>' for n in range(1, 9)
    )
    return f'<defs><rect id="g0" width="1" height="1"/>{levels}</defs><use href="#g8"/>'


BAD_SVG: dict[str, tuple[str, Given]] = {
    "billion laughs": ("CORRUPT_FILE", svg("<text>&lol9;</text>", before=laughs())),
    "an entity of a file": (
        "CORRUPT_FILE",
        svg("<text>&x;</text>", before='<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
    ),
    "a million pixels a side": (
        "DIMENSIONS_TOO_LARGE",
        svg(attributes='width="1000000" height="1000000"'),
    ),
    "beyond all numbers": ("CORRUPT_FILE", svg(attributes='width="1e999" height="1"')),
    "far too wide": ("DIMENSIONS_TOO_LARGE", svg(attributes='width="1e300" height="1"')),
    "no size": ("CORRUPT_FILE", svg(attributes='width="0" height="5"')),
    "parts used again and again": ("RESOURCE_LIMIT_EXCEEDED", svg(uses())),
    "parts that use each other": (
        "CORRUPT_FILE",
        svg('<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>'),
    ),
    "a huge picture within": (
        "DIMENSIONS_TOO_LARGE",
        svg(f'<image href="{data_uri(files.png_header(100_000, 100_000))}"/>'),
    ),
    "a damaged picture within": ("CORRUPT_FILE", svg(f'<image href="{data_uri(b"no")}"/>')),
    "deep": ("CORRUPT_FILE", svg("<g>" * 20_000 + "</g>" * 20_000)),
    "not closed": ("CORRUPT_FILE", Given(b"<svg><g>", "a.svg", "image/svg+xml")),
    "HTML": ("UNSUPPORTED_MEDIA_TYPE", Given(b"<html><p/></html>", "a.svg", "text/html")),
    "text": ("CORRUPT_FILE", Given(b"Hello.", "a.svg", "text/plain")),
    "nothing": ("EMPTY_FILE", Given(b"", "a.svg", "image/svg+xml")),
}


@NEEDS_IMAGES
@pytest.mark.parametrize("bad", list(BAD_SVG))
async def test_a_bad_drawing_is_refused_by_its_code(bad: str) -> None:
    code, given = BAD_SVG[bad]

    assert (await refused("svg-to-image", given)).code == code


@NEEDS_IMAGES
async def test_a_scale_that_makes_a_drawing_too_large_is_refused() -> None:
    error = await refused("svg-to-image", svg(attributes='width="9000" height="9000"'), scale=10)

    assert error.code == "DIMENSIONS_TOO_LARGE"


@NEEDS_IMAGES
async def test_elements_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svg_reading, "ELEMENTS_MAX", 10)

    assert (await refused("svg-to-image", svg(RED_BOX * 11))).code == "RESOURCE_LIMIT_EXCEEDED"
