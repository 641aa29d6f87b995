"""The tools for PDF documents."""

import io
from typing import Any

import pikepdf
import pytest

from processors.tools import pdf_merging, pdf_text
from processors.tools.documents import page_indexes
from tests.factories import files
from tests.unit.processors.tools.readers import lines, pdf
from tests.unit.processors.tools.workbench import Made, made, refused


def titles(document: Made) -> list[Any]:
    """Bookmarks as nested lists: title, page number, children."""
    with pikepdf.open(io.BytesIO(document.content)) as reader, reader.open_outline() as outline:
        pages = [page.obj.objgen for page in reader.pages]

        def told(item: pikepdf.OutlineItem) -> list[Any]:
            place = item.destination
            assert isinstance(place, pikepdf.Array)
            return [item.title, pages.index(place[0].objgen), [told(c) for c in item.children]]

        return [told(item) for item in outline.root]


async def test_documents_are_merged_in_the_order_given() -> None:
    first = pdf(files.simple_pdf("Alpha {page}", 2), "alpha.pdf")
    second = pdf(files.simple_pdf("Beta {page}", 1), "beta.pdf")

    assert lines(await made("pdf-merger", first, second)) == ["Alpha 1", "Alpha 2", "Beta 1"]
    assert lines(await made("pdf-merger", second, first)) == ["Beta 1", "Alpha 1", "Alpha 2"]


async def test_one_document_alone_is_written_anew() -> None:
    result = await made("pdf-merger", pdf(files.simple_pdf("Only {page}", 2, bookmarks=True)))

    assert (result.name, result.media_type, result.notes) == ("report.pdf", "application/pdf", ())
    assert lines(result) == ["Only 1", "Only 2"]
    assert titles(result) == [["Chapter 1", 0, []], ["Chapter 2", 1, []]]


async def test_bookmarks_stay_under_one_for_each_document() -> None:
    first = pdf(files.simple_pdf("A", 2, bookmarks=True), "alpha.pdf")
    second = pdf(files.simple_pdf("B", 2, bookmarks=True), "beta.pdf")

    result = await made("pdf-merger", first, second)

    assert titles(result) == [
        ["alpha", 0, [["Chapter 1", 0, []], ["Chapter 2", 1, []]]],
        ["beta", 2, [["Chapter 1", 2, []], ["Chapter 2", 3, []]]],
    ]


async def test_bookmarks_are_left_out_where_that_is_wished() -> None:
    document = pdf(files.simple_pdf("A", 2, bookmarks=True))

    assert titles(await made("pdf-merger", document, document, bookmarks=False)) == []


async def test_the_same_document_may_come_twice() -> None:
    document = pdf(files.simple_pdf("A{page}", 2))

    assert lines(await made("pdf-merger", document, document)) == ["A1", "A2", "A1", "A2"]


async def test_the_same_documents_give_the_same_bytes() -> None:
    given = pdf(files.simple_pdf("A", 2)), pdf(files.simple_pdf("B", 1))

    assert await made("pdf-merger", *given) == await made("pdf-merger", *given)


def changed(content: bytes, **root: Any) -> bytes:
    stream = io.BytesIO()
    with pikepdf.open(io.BytesIO(content)) as document:
        for name, value in root.items():
            document.Root[f"/{name}"] = value
        document.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("form", "note"),
    [
        (pikepdf.Dictionary(SigFlags=1), "File 1 was signed"),
        (pikepdf.Dictionary(Fields=[pikepdf.Dictionary(T="name")]), "File 1 has a form"),
    ],
)
async def test_what_a_merge_loses_is_said(form: pikepdf.Dictionary, note: str) -> None:
    document = changed(files.simple_pdf(), AcroForm=form)

    result = await made("pdf-merger", pdf(document))

    assert [said[: len(note)] for said in result.notes] == [note]


@pytest.mark.parametrize("tool", ["pdf-merger", "pdf-splitter"])
async def test_scripts_and_files_of_a_document_do_not_come_along(tool: str) -> None:
    action = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert('hello')")
    within = pikepdf.Dictionary(Names=["a", pikepdf.Dictionary(F="embedded.exe")])
    names = pikepdf.Dictionary(EmbeddedFiles=within)
    document = changed(files.simple_pdf(), OpenAction=action, Names=names)

    result = await made(tool, pdf(document))

    for telling in (b"alert", b"embedded"):
        assert telling in document
        assert telling not in result.content


BAD: dict[str, tuple[str, bytes]] = {
    "with a password": ("PASSWORD_REQUIRED", files.simple_pdf(password="secret")),
    "garbage": ("CORRUPT_FILE", b"%PDF-1.7\ngarbage\n%%EOF\n"),
    "junk before the mark": ("CORRUPT_FILE", b"x" * 100 + b"%PDF-1.7 junk %%EOF"),
    "cut short": ("CORRUPT_FILE", files.truncated(files.simple_pdf("A", 20))),
    "a text": ("UNSUPPORTED_MEDIA_TYPE", b"Dear reader"),
    "a picture": ("UNSUPPORTED_MEDIA_TYPE", files.rgba_png()),
    "empty": ("EMPTY_FILE", b""),
}


@pytest.mark.parametrize("bad", list(BAD))
@pytest.mark.parametrize("tool", ["pdf-merger", "pdf-to-text"])
async def test_a_bad_document_is_refused_by_its_code(tool: str, bad: str) -> None:
    code, content = BAD[bad]

    assert (await refused(tool, pdf(content))).code == code


async def test_the_document_at_fault_is_named_by_its_number() -> None:
    error = await refused(
        "pdf-merger", pdf(files.simple_pdf()), pdf(files.simple_pdf(password="secret"))
    )

    assert (error.code, error.message) == (
        *("PASSWORD_REQUIRED", "File 2 is protected with a password."),
    )


async def test_pages_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_merging, "PAGES_MAX", 3)
    monkeypatch.setattr(pdf_text, "PAGES_MAX", 3)
    document = pdf(files.simple_pdf("A", 2))

    assert (await refused("pdf-merger", document, document)).code == "TOO_MANY_PAGES"
    assert (await refused("pdf-to-text", pdf(files.simple_pdf("A", 4)))).code == "TOO_MANY_PAGES"
    assert (await refused("pdf-to-text", document, pages="1-2,1-2")).code == "TOO_MANY_PAGES"


async def test_text_is_taken_page_by_page() -> None:
    result = await made("pdf-to-text", pdf(files.simple_pdf("Page {page}: caf\xe9", 3)))

    assert (result.name, result.media_type) == ("report.txt", "text/plain")
    assert result.text == "Page 1: café\n\fPage 2: café\n\fPage 3: café\n"


async def test_only_the_pages_asked_for_are_taken() -> None:
    result = await made("pdf-to-text", pdf(files.simple_pdf("{page}", 5)), pages="4-, 1")

    assert result.text == "4\n\f5\n\f1\n"


async def test_a_document_without_text_says_so() -> None:
    assert (await refused("pdf-to-text", pdf(files.simple_pdf("")))).code == "NO_TEXT"


@pytest.mark.parametrize("pages", ["6", "0", "2-1", "1,,2", "-", "1--2", "9999999"])
async def test_pages_that_are_not_there_are_refused(pages: str) -> None:
    error = await refused("pdf-to-text", pdf(files.simple_pdf("A", 5)), pages=pages)

    assert (error.code, error.field) == ("INVALID_OPTIONS", "pages")


def test_page_ranges_count_from_one() -> None:
    assert page_indexes("", 3) == [0, 1, 2]
    assert page_indexes("-2", 3) == [0, 1]
    assert page_indexes("2-", 3) == [1, 2]
    assert page_indexes("3,1", 3) == [2, 0]
