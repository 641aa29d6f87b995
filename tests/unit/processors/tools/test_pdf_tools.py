"""The tools that split, turn, shut, open and shrink PDF documents."""

import io
from typing import Any

import pikepdf
import pytest

from processors.tools import pdf_documents, pdf_splitter, pdf_splitting
from tests.factories import files
from tests.unit.processors.tools.readers import (
    NEEDS_POPPLER,
    lines,
    pdf,
    pdfinfo,
    rendered,
    told,
)
from tests.unit.processors.tools.workbench import Made, made, made_all, refused

TOOLS = ["pdf-splitter", "pdf-rotator", "pdf-compressor", "pdf-encrypter", "pdf-decrypter"]
NEEDED: dict[str, dict[str, Any]] = {"pdf-encrypter": {"user_password": "open sesame"}}
FIVE = files.simple_pdf("Page {page}", 5)


def opened(document: Made, password: str = "") -> pikepdf.Pdf:
    return pikepdf.open(io.BytesIO(document.content), password=password)


def locked(**passwords: str) -> bytes:
    stream = io.BytesIO()
    with pikepdf.open(io.BytesIO(FIVE)) as document:
        document.save(stream, encryption=pikepdf.Encryption(R=6, **passwords))
    return stream.getvalue()


def signed() -> bytes:
    stream = io.BytesIO()
    with pikepdf.open(io.BytesIO(FIVE)) as document:
        document.Root.AcroForm = pikepdf.Dictionary(SigFlags=1, Fields=pikepdf.Array())
        document.save(stream)
    return stream.getvalue()


async def test_a_document_alone_is_split_into_its_pages() -> None:
    parts = await made_all("pdf-splitter", pdf(FIVE))

    assert [part.name for part in parts] == [f"report-{number}.pdf" for number in range(1, 6)]
    assert [lines(part) for part in parts] == [[f"Page {number}"] for number in range(1, 6)]


@pytest.mark.parametrize(
    ("options", "pages"),
    [
        ({"every": 2}, [[1, 2], [3, 4], [5]]),
        ({"every": 9}, [[1, 2, 3, 4, 5]]),
        ({"pages": "1-2,5,4-"}, [[1, 2], [5], [4, 5]]),
        ({"pages": "5,1-2", "as_one": True}, [[5, 1, 2]]),
        ({"as_one": True}, [[1, 2, 3, 4, 5]]),
    ],
)
async def test_a_document_is_cut_where_it_is_told(
    options: dict[str, Any], pages: list[list[int]]
) -> None:
    parts = await made_all("pdf-splitter", pdf(FIVE), **options)

    assert [lines(part) for part in parts] == [[f"Page {n}" for n in part] for part in pages]


async def test_names_of_many_parts_sort_as_the_parts_do() -> None:
    parts = await made_all("pdf-splitter", pdf(files.simple_pdf("A", 12)))

    assert [part.name for part in parts] == sorted(part.name for part in parts)


async def test_a_part_holds_only_what_its_pages_use() -> None:
    stream = io.BytesIO()
    with pikepdf.open(io.BytesIO(FIVE)) as document:
        # One list of pictures for all pages, as many programs write it.
        picture = document.make_stream(
            files.photo_jpeg(), Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Image
        )
        for page in document.pages:
            page.Resources.XObject = pikepdf.Dictionary(Im0=picture)
        document.save(stream)

    parts = await made_all("pdf-splitter", pdf(stream.getvalue()))

    assert all(len(part.content) < 5_000 for part in parts)


async def test_too_many_parts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_splitting, "DOCUMENTS_MAX", 4)

    assert (await refused("pdf-splitter", pdf(FIVE))).code == "TOO_MANY_PAGES"
    assert len(await made_all("pdf-splitter", pdf(FIVE), every=2)) == 3


async def test_the_most_parts_fit_into_what_a_sandbox_reports() -> None:
    assert pdf_splitter.DOCUMENTS_MAX <= pdf_splitter.PdfSplitter.limits.outputs_max <= 1_000


@pytest.mark.parametrize(("angle", "wide"), [(90, False), (180, True), (270, False)])
async def test_pages_are_turned(angle: int, wide: bool) -> None:
    result = await made("pdf-rotator", pdf(FIVE), angle=angle)

    drawn = rendered(result)
    assert (drawn.width > drawn.height) is wide
    assert lines(result) == [f"Page {number}" for number in range(1, 6)]


async def test_a_turn_is_added_to_the_one_before_and_only_where_it_is_wished() -> None:
    once = await made("pdf-rotator", pdf(FIVE), pages="2,4-")
    twice = await made("pdf-rotator", pdf(once.content), pages="4,4")

    with opened(twice) as document:
        assert [int(page.get("/Rotate", 0)) for page in document.pages] == [0, 90, 0, 180, 90]


@NEEDS_POPPLER
async def test_poppler_sees_the_turn_too() -> None:
    assert pdfinfo((await made("pdf-rotator", pdf(FIVE), angle=270)).content)["Page rot"] == "270"


async def test_a_document_is_shut_with_aes_256() -> None:
    result = await made("pdf-encrypter", pdf(FIVE), user_password="straße")

    with opened(result, "straße") as document:
        assert (document.encryption.R, document.encryption.bits) == (6, 256)
    for password in ("", "strasse"):
        with pytest.raises(pikepdf.PasswordError):
            opened(result, password)


async def test_permissions_hold_for_users_only() -> None:
    result = await made(
        "pdf-encrypter", pdf(FIVE), owner_password="boss", printing="low", copying=False
    )

    with opened(result) as document:
        allowed = document.allow
        assert (allowed.print_lowres, allowed.print_highres, allowed.extract) == (
            True,
            False,
            False,
        )
        assert (allowed.modify_other, allowed.modify_annotation) == (True, True)
        assert not document.owner_password_matched
    with opened(result, "boss") as document:
        assert document.owner_password_matched


@NEEDS_POPPLER
async def test_poppler_needs_the_password_too() -> None:
    result = await made("pdf-encrypter", pdf(FIVE), user_password="sesame", changing=False)

    seen = pdfinfo(result.content, "-upw", "sesame")["Encrypted"]
    assert "algorithm:AES-256" in seen
    assert "change:no" in seen
    assert b"Page 3" in told(["pdftotext", "-upw", "sesame", "{}", "-"], result.content)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "user_password"),
        ({"user_password": ""}, "user_password"),
        ({"user_password": "ä" * 100}, "user_password"),
        ({"user_password": "a", "owner_password": "x" * 128}, "owner_password"),
    ],
)
async def test_no_password_is_no_protection(options: dict[str, Any], field: str) -> None:
    error = await refused("pdf-encrypter", pdf(FIVE), **options)

    assert (error.code, error.field) == ("INVALID_OPTIONS", field)
    assert "ä" not in error.message


@pytest.mark.parametrize("password", ["user", "owner"])
async def test_either_password_opens_a_document(password: str) -> None:
    result = await made("pdf-decrypter", pdf(locked(user="user", owner="owner")), password=password)

    assert lines(result) == [f"Page {number}" for number in range(1, 6)]
    with opened(result) as document:
        assert not document.is_encrypted


async def test_restrictions_alone_need_no_password() -> None:
    result = await made("pdf-decrypter", pdf(locked(owner="owner")))

    with opened(result) as document:
        assert not document.is_encrypted
        assert document.allow.modify_assembly


async def test_without_the_password_a_document_stays_shut() -> None:
    shut = pdf(locked(user="user", owner="owner"))

    assert (await refused("pdf-decrypter", shut)).code == "PASSWORD_REQUIRED"
    wrong = await refused("pdf-decrypter", shut, password="guess")
    assert wrong.code == "WRONG_PASSWORD"
    assert "guess" not in wrong.message


async def test_what_was_not_shut_is_said() -> None:
    assert (await made("pdf-decrypter", pdf(FIVE))).notes == ("The document was not encrypted.",)


def scan(colours: str = "RGB", **keys: Any) -> bytes:
    """A page with a photo as a scanner's program stores it."""
    document = pikepdf.new()
    photo = files.photo(1_200, 900, colours)
    picture = document.make_stream(
        keys.pop("content", None) or photo.tobytes(),
        Type=pikepdf.Name.XObject,
        Subtype=pikepdf.Name.Image,
        Width=photo.width,
        Height=photo.height,
        ColorSpace=pikepdf.Name.DeviceRGB if colours == "RGB" else pikepdf.Name.DeviceGray,
        BitsPerComponent=8,
        **keys,
    )
    page = document.add_blank_page(page_size=(400, 300))
    page.Contents = document.make_stream(b"q 400 0 0 300 0 0 cm /Im0 Do Q")
    page.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Im0=picture))
    stream = io.BytesIO()
    document.save(stream, compress_streams=False)
    return stream.getvalue()


async def test_a_document_becomes_smaller_without_loss() -> None:
    document = scan()

    result = await made("pdf-compressor", pdf(document))

    assert len(result.content) < len(document) / 2
    assert rendered(result).tobytes() == rendered(Made("", "", document, ())).tobytes()


@pytest.mark.parametrize("colours", ["RGB", "L"])
async def test_pictures_are_written_anew_where_that_is_wished(colours: str) -> None:
    document = scan(colours)
    lossless = await made("pdf-compressor", pdf(document))

    result = await made("pdf-compressor", pdf(document), images="recompress", longest_side=600)

    assert len(result.content) < len(lossless.content) / 2
    assert result.notes == ("Pictures written anew: 1 of 1.",)
    with opened(result) as reader:
        (image,) = reader.pages[0].get_images().values()
        assert (int(image.Width), int(image.Height)) == (600, 450)
    seen = rendered(result).getpixel((10, 10))
    assert seen == pytest.approx(rendered(lossless).getpixel((10, 10)), abs=24)


async def test_a_picture_whose_numbers_mean_something_else_stays_as_it_is() -> None:
    negative = scan("L", Decode=[1, 0])

    result = await made("pdf-compressor", pdf(negative), images="recompress")

    assert result.notes == ("Pictures written anew: 0 of 1.",)
    assert rendered(result).tobytes() == rendered(Made("", "", negative, ())).tobytes()


async def test_a_document_never_becomes_larger() -> None:
    small = (await made("pdf-compressor", pdf(files.simple_pdf("A", 3)))).content

    again = await made("pdf-compressor", pdf(small), images="recompress", quality=100)

    assert again.content == small
    assert again.notes == ("The document cannot be made smaller this way; it is as it was.",)


@NEEDS_POPPLER
@pytest.mark.parametrize("tool", ["pdf-rotator", "pdf-compressor", "pdf-decrypter"])
async def test_poppler_reads_what_was_made(tool: str) -> None:
    document = (await made(tool, pdf(FIVE))).content

    assert pdfinfo(document)["Pages"] == "5"
    assert b"Page 5" in told(["pdftotext", "{}", "-"], document)


@pytest.mark.parametrize("tool", TOOLS)
async def test_a_broken_signature_is_said(tool: str) -> None:
    results = await made_all(tool, pdf(signed()), **NEEDED.get(tool, {}))

    assert any("was signed" in note for note in results[0].notes)


@pytest.mark.parametrize("tool", ["pdf-rotator", "pdf-splitter", "pdf-compressor"])
async def test_lost_restrictions_are_said(tool: str) -> None:
    results = await made_all(tool, pdf(locked(owner="boss")))

    with opened(results[0]) as document:
        assert not document.is_encrypted
    assert results[0].notes == ("The document was encrypted, the result is not.",)


BAD: dict[str, tuple[str, bytes]] = {
    "with a password": ("PASSWORD_REQUIRED", files.simple_pdf(password="secret")),
    "garbage": ("CORRUPT_FILE", b"%PDF-1.7\ngarbage\n%%EOF\n"),
    "junk before the mark": ("CORRUPT_FILE", b"x" * 100 + b"%PDF-1.7 junk %%EOF"),
    "cut short": ("CORRUPT_FILE", files.truncated(files.simple_pdf("A", 20))),
    "a loop of references": ("CORRUPT_FILE", files.looping_pdf()),
    "a picture": ("UNSUPPORTED_MEDIA_TYPE", files.rgba_png()),
    "empty": ("EMPTY_FILE", b""),
}


@pytest.mark.parametrize("bad", list(BAD))
@pytest.mark.parametrize("tool", TOOLS)
async def test_a_bad_document_is_refused_by_its_code(tool: str, bad: str) -> None:
    code, content = BAD[bad]

    assert (await refused(tool, pdf(content), **NEEDED.get(tool, {}))).code == code


@pytest.mark.parametrize("tool", TOOLS)
async def test_pages_are_limited(monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    monkeypatch.setattr(pdf_documents, "PAGES_MAX", 4)

    assert (await refused(tool, pdf(FIVE), **NEEDED.get(tool, {}))).code == "TOO_MANY_PAGES"


@pytest.mark.parametrize("tool", ["pdf-splitter", "pdf-rotator"])
async def test_pages_that_are_not_there_are_refused(tool: str) -> None:
    error = await refused(tool, pdf(FIVE), pages="4-6")

    assert (error.code, error.field) == ("INVALID_OPTIONS", "pages")
