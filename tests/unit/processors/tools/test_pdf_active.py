"""Scripts, actions and files in a PDF: found, told and taken out. PDFium and poppler look."""

import io

import pikepdf
import pypdfium2
import pypdfium2.raw as pdfium
import pytest
from pikepdf import Array, Dictionary, Name, Stream

from processors.tools import pdf_active
from processors.tools.pdf_active import STILL_THERE, TOO_MANY, has_active, remove_active
from tests.factories import files
from tests.unit.processors.tools.readers import NEEDS_POPPLER, lines, pdf, pdfinfo, rendered
from tests.unit.processors.tools.workbench import Made, made, made_all

KEEPERS: dict[str, dict[str, str]] = {
    "pdf-compressor": {},
    "pdf-decrypter": {},
    "pdf-encrypter": {"user_password": "x"},
    "pdf-rotator": {},
}
"""The tools that leave a document as it is in this regard, and what they need."""
SCRIPT = "app.alert('hello')"


def script() -> Dictionary:
    return Dictionary(S=Name.JavaScript, JS=SCRIPT)


def lively_pdf() -> bytes:
    """With a script in each place that may hold one, a program to start, and two files."""
    stream = io.BytesIO()
    with pikepdf.open(io.BytesIO(files.simple_pdf("Page {page}", 2))) as document:
        root, page = document.Root, document.pages[0]
        document.attachments["evil.exe"] = b"MZ evil"
        root.OpenAction = Dictionary(S=Name.GoTo, D=Array([page.obj, Name.Fit]), Next=script())
        root.AA = Dictionary(WC=script())
        root.Names.JavaScript = Dictionary(Names=Array(["start", script()]))
        page.AA = Dictionary(O=document.make_indirect(script()))
        held = Stream(document, b"MZ held")
        file = Dictionary(Type=Name.Filespec, F="held.exe", EF=Dictionary(F=held))
        launch = Dictionary(S=Name.Launch, F="evil.exe")
        page.Annots = Array(
            [
                note("Link", A=launch),
                note("Link", A=Dictionary(S=Name.URI, URI="https://example.org", Next=[script()])),
                note("FileAttachment", FS=file),
            ]
        )
        document.save(stream)
    return stream.getvalue()


def note(kind: str, **more: object) -> Dictionary:
    annotation = Dictionary(Type=Name.Annot, Subtype=Name("/" + kind), Rect=[10, 10, 60, 60])
    for key, value in more.items():
        annotation[f"/{key}"] = value
    return annotation


def seen_by_pdfium(content: bytes) -> tuple[int, int]:
    """How many scripts and how many attachments of the document PDFium sees."""
    document = pypdfium2.PdfDocument(content)
    try:
        scripts = pdfium.FPDFDoc_GetJavaScriptActionCount(document)
        return int(scripts), int(pdfium.FPDFDoc_GetAttachmentCount(document))
    finally:
        document.close()


def holds_active(document: Made, password: str = "") -> bool:
    with pikepdf.open(io.BytesIO(document.content), password=password) as reader:
        return has_active(reader)


async def strip(content: bytes, active_content: str) -> Made:
    return await made("metadata-stripper", pdf(content), active_content=active_content)


async def test_scripts_and_files_go_and_what_is_drawn_stays() -> None:
    document = lively_pdf()
    assert seen_by_pdfium(document) == (1, 1)

    result = await strip(document, "remove")

    assert seen_by_pdfium(result.content) == (0, 0)
    assert lines(result) == ["Page 1", "Page 2"]
    assert rendered(result).tobytes() == rendered(Made("", "", document, ())).tobytes()
    assert result.notes == ("Scripts, actions or files were taken out.",)


async def test_no_byte_of_them_is_left_and_links_are() -> None:
    result = await strip(lively_pdf(), "remove")

    with pikepdf.open(io.BytesIO(result.content)) as reader:
        raw = b"".join(
            thing.read_bytes() if isinstance(thing, Stream) else thing.unparse(resolved=True)
            for thing in reader.objects
        )
        assert not has_active(reader)
        assert [each.Subtype for each in reader.pages[0].Annots] == [Name.Link, Name.Link]
    assert not {mark for mark in (b"alert", b"MZ", b"/Launch", b"evil") if mark in raw}
    assert b"https://example.org" in raw


async def test_what_stays_is_told() -> None:
    kept = await strip(lively_pdf(), "keep")
    plain = await strip(files.simple_pdf(), "keep")

    assert seen_by_pdfium(kept.content) == (1, 1)
    assert "still holds scripts" in kept.notes[0]
    assert plain.notes == ()


@pytest.mark.parametrize("tool", list(KEEPERS))
async def test_a_tool_that_lets_them_stay_tells_it(tool: str) -> None:
    lively = await made(tool, pdf(lively_pdf()), **KEEPERS[tool])
    plain = await made(tool, pdf(files.simple_pdf()), **KEEPERS[tool])

    assert holds_active(lively, KEEPERS[tool].get("user_password", ""))
    assert STILL_THERE in lively.notes
    assert STILL_THERE not in plain.notes


@pytest.mark.parametrize("tool", ["pdf-merger", "pdf-splitter"])
async def test_what_comes_along_with_a_page_is_told(tool: str) -> None:
    parts = await made_all(tool, pdf(lively_pdf()))

    assert any(map(holds_active, parts))
    assert STILL_THERE in parts[0].notes


async def test_what_does_not_come_along_is_not_told() -> None:
    (part,) = await made_all("pdf-splitter", pdf(lively_pdf()), pages="2")

    assert not holds_active(part)
    assert part.notes == ()


async def test_no_document_is_looked_through_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_active, "LOOKED_AT_MAX", 3)

    assert (await made("pdf-rotator", pdf(files.simple_pdf()))).notes == (TOO_MANY,)


@NEEDS_POPPLER
async def test_poppler_sees_no_script() -> None:
    document = lively_pdf()
    assert pdfinfo(document)["JavaScript"] == "yes"

    assert pdfinfo((await strip(document, "remove")).content)["JavaScript"] == "no"


def test_fonts_may_be_called_as_dangers_are() -> None:
    with pikepdf.open(io.BytesIO(files.simple_pdf())) as document:
        fonts = document.pages[0].Resources.Font
        for name in ("/AA", "/JavaScript", "/EmbeddedFiles", "/EF", "/XFA"):
            fonts[name] = next(iter(dict(fonts.items()).values()))

        assert not remove_active(document)


def test_actions_within_actions_are_found_however_deep() -> None:
    with pikepdf.new() as document:
        action = script()
        for _ in range(300):
            action = Dictionary(S=Name.URI, URI="https://example.org", Next=Array([action]))
        document.Root.OpenAction = action

        assert remove_active(document)
        assert not has_active(document)
