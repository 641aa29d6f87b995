"""The tools that draw and read codes; what one library draws, another one reads."""

import io
import json
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from processors.tools.barcode_maker import BarcodeMaker
from tests.factories import files
from tests.unit.processors.tools.readers import needs, opencv, told
from tests.unit.processors.tools.workbench import Given, Made, made, refused

TEXT = "https://example.org/straße?x=日本"
SAMPLES = {
    "code128": "HELLO-123",
    "code39": "HELLO-123",
    "code93": "HELLO-123",
    "codabar": "A1234567890B",
    "itf": "12345678",
    "ean13": "4006381333931",
    "ean8": "96385074",
    "upca": "036000291452",
    "upce": "01234565",
    "datamatrix": TEXT,
    "pdf417": TEXT,
    "aztec": TEXT,
    "qrcode": TEXT,
}

NOT_FOR_ZBAR = {"datamatrix", "pdf417", "aztec"}
# They are read as the 13 digits that they stand for.
AS_READ = {"upca": "0036000291452", "upce": "0012345000065"}


def text_file(content: str, filename: str = "address.txt") -> Given:
    return Given(content.encode(), filename, "text/plain")


def read(picture: Made) -> list[str]:
    return [code.text for code in zxingcpp.read_barcodes(picture.picture.convert("L"))]


async def test_a_text_file_becomes_a_qr_code() -> None:
    result = await made("qr-maker", text_file(f"{TEXT}\r\n"))

    assert (result.name, result.media_type) == ("address.png", "image/png")
    assert read(result) == [TEXT]


async def test_a_text_in_the_options_needs_no_file() -> None:
    qr_code = await made("qr-maker", text=TEXT)
    barcode = await made("barcode-maker", text="HELLO")

    assert (qr_code.name, read(qr_code)) == ("qr-code.png", [TEXT])
    assert (barcode.name, read(barcode)) == ("code128.png", ["HELLO"])


@pytest.mark.parametrize("level", ["low", "medium", "quartile", "high"])
async def test_scale_border_and_colours_are_as_wished(level: str) -> None:
    result = await made(
        "qr-maker", text="A" * 40, error_correction=level, scale=5, border=2, dark="#102030"
    )

    assert result.picture.width % 5 == 0
    assert result.picture.convert("RGB").getpixel((10, 10)) == (0x10, 0x20, 0x30)
    assert read(result) == ["A" * 40]


async def test_a_code_can_be_drawn_in_lines() -> None:
    qr_code = await made("qr-maker", text=TEXT, output_format="svg")
    barcode = await made("barcode-maker", text="HELLO", output_format="svg")

    for drawing in (qr_code, barcode):
        assert drawing.media_type == "image/svg+xml"
        assert "<svg" in drawing.text
        assert "<script" not in drawing.text


@pytest.mark.parametrize("symbology", list(SAMPLES))
async def test_every_symbology_is_read_back(symbology: str) -> None:
    drawn = await made("barcode-maker", text=SAMPLES[symbology], symbology=symbology)

    found = json.loads((await made("code-reader", Given(drawn.content))).text)["codes"]

    assert [code["text"] for code in found][:1] == [AS_READ.get(symbology, SAMPLES[symbology])]


async def test_opencv_reads_a_barcode_too() -> None:
    cv2 = pytest.importorskip("cv2")
    code = await made("barcode-maker", text="4006381333931", symbology="ean13", scale=2)
    on_paper = cv2.copyMakeBorder(
        opencv(code.content), *(40, 40, 40, 40), cv2.BORDER_CONSTANT, value=(255, 255, 255)
    )

    text, *_ = cv2.barcode.BarcodeDetector().detectAndDecode(on_paper)

    assert text == "4006381333931"


@needs("zbarimg", "zbar-tools")
@pytest.mark.parametrize("symbology", [each for each in SAMPLES if each not in NOT_FOR_ZBAR])
async def test_zbar_reads_every_symbology_that_it_knows(symbology: str) -> None:
    text = SAMPLES[symbology]

    drawn = await made("barcode-maker", text=text, symbology=symbology, scale=4)

    assert read_by_zbar(drawn) == AS_READ.get(symbology, text)


WORDS = ["hello", "https://example.org/straße?x=1", "naïve café €5", "Привет", "日本語", TEXT]


@needs("zbarimg", "zbar-tools")
@pytest.mark.parametrize("text", WORDS)
async def test_zbar_reads_a_qr_code_that_segno_drew(text: str) -> None:
    assert read_by_zbar(await made("qr-maker", text=text)) == text


@pytest.mark.parametrize("text", WORDS)
async def test_opencv_reads_a_qr_code_that_segno_drew(text: str) -> None:
    cv2 = pytest.importorskip("cv2")
    code = await made("qr-maker", text=text)

    assert cv2.QRCodeDetector().detectAndDecode(opencv(code.content))[0] == text


def read_by_zbar(picture: Made) -> str:
    said = told(["zbarimg", "--nodbus", "--quiet", "--raw", "{}"], picture.content)
    return said.decode().rstrip("\n")


@needs("dmtxread", "dmtx-utils")
@pytest.mark.parametrize("text", ["HELLO", "1234567890" * 3, TEXT, "x" * 60])
async def test_libdmtx_reads_a_data_matrix(text: str) -> None:
    drawn = await made("barcode-maker", text=text, symbology="datamatrix", scale=4)

    assert drawn.picture.width == drawn.picture.height
    # It shows the mark of an encoding as if that were a letter.
    read = told(["dmtxread", "-N1", "{}"], drawn.content).decode().removeprefix("\x1a")
    assert read == text


def test_there_is_a_sample_of_every_symbology() -> None:
    schema = BarcodeMaker.Options.model_json_schema()

    assert set(schema["properties"]["symbology"]["enum"]) == set(SAMPLES)


async def test_all_codes_of_a_picture_are_told_with_their_places() -> None:
    first = (await made("qr-maker", text="one")).picture.convert("RGB")
    second = (
        (await made("barcode-maker", text="TWO")).picture.convert("RGB").rotate(90, expand=True)
    )
    sheet = Image.new("RGB", (first.width + second.width + 60, 600), "white")
    sheet.paste(first, (0, 0))
    sheet.paste(second, (first.width + 60, 100))

    result = await made("code-reader", Given(files.encoded(sheet, "PNG"), "sheet.png"))
    as_text = await made(
        "code-reader", Given(files.encoded(sheet, "PNG"), "sheet.png"), output_format="text"
    )

    codes = {code["text"]: code for code in json.loads(result.text)["codes"]}
    assert set(codes) == {"one", "TWO"} == set(as_text.text.split())
    assert codes["one"]["symbology"] == "QR Code"
    assert max(x for x, _ in codes["one"]["corners"]) < first.width
    assert min(x for x, _ in codes["TWO"]["corners"]) > first.width


async def test_a_code_on_nothing_and_a_light_one_on_dark_are_read() -> None:
    drawn = (await made("qr-maker", text="hello")).picture.convert("L")
    on_nothing = Image.new("RGBA", drawn.size, (0, 0, 0, 0))
    on_nothing.paste((0, 0, 0, 255), (0, 0), drawn.point(lambda level: 255 - level))

    for picture in (on_nothing, drawn.point(lambda level: 255 - level)):
        result = await made(
            "code-reader", Given(files.encoded(picture, "PNG")), output_format="text"
        )
        assert result.text == "hello\n"


BAD: dict[str, tuple[str, str, list[Given], dict[str, Any]]] = {
    "neither file nor text": ("INVALID_OPTIONS", "qr-maker", [], {}),
    "file and text": ("INVALID_OPTIONS", "qr-maker", [text_file("a")], {"text": "b"}),
    "an option too long for a QR code": ("INVALID_OPTIONS", "qr-maker", [], {"text": "x" * 5_000}),
    "an option too long for any": ("INVALID_OPTIONS", "qr-maker", [], {"text": "x" * 9_000}),
    "a file too long for a QR code": ("TEXT_TOO_LONG", "qr-maker", [text_file("x" * 5_000)], {}),
    "a file too long for any": ("TEXT_TOO_LONG", "qr-maker", [text_file("x" * 40_000)], {}),
    "a file with nothing": ("CORRUPT_FILE", "qr-maker", [text_file("\n")], {}),
    "a file that is no UTF-8": (
        *("CORRUPT_FILE", "qr-maker", [Given(b"\xff\xfe\xfd", "a.txt", "text/plain")], {}),
    ),
    "a colour that is none": ("INVALID_OPTIONS", "qr-maker", [], {"text": "a", "dark": "red"}),
    "letters in an EAN": (
        *("INVALID_OPTIONS", "barcode-maker", [], {"text": "ABC", "symbology": "ean13"}),
    ),
    "a wrong check digit": (
        *("INVALID_OPTIONS", "barcode-maker", [], {"text": "4006381333932", "symbology": "ean13"}),
    ),
    "a text too long for a barcode": (
        *("TEXT_TOO_LONG", "barcode-maker", [text_file("x" * 3_000)], {"symbology": "pdf417"}),
    ),
    "a picture without a code": ("NO_CODE", "code-reader", [Given(files.photo_jpeg())], {}),
    "a picture cut short": (
        *("CORRUPT_FILE", "code-reader", [Given(files.truncated(files.photo_jpeg()))], {}),
    ),
    "a picture that is too large": (
        *("DIMENSIONS_TOO_LARGE", "code-reader"),
        [Given(files.png_header(100_000, 100_000), "a.png", "image/png")],
        {},
    ),
}


@pytest.mark.parametrize("bad", list(BAD))
async def test_what_cannot_be_is_refused_by_its_code(bad: str) -> None:
    code, tool, given, options = BAD[bad]

    error = await refused(tool, *given, **options)

    assert error.code == code
    assert error.field in {None, *options, "text"}


async def test_a_line_drawn_code_is_still_a_picture() -> None:
    drawn = await made("barcode-maker", text="HELLO", show_text=False, scale=2)

    assert Image.open(io.BytesIO(drawn.content)).format == "PNG"
