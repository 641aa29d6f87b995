"""The tool that needs pandoc."""

import base64
import io
import itertools
import re
import zipfile
from html.parser import HTMLParser
from typing import Any

import pytest
from defusedxml import ElementTree
from markdown_it import MarkdownIt

from infrastructure.media_types import MediaTypes
from processors.tools.document_formats import MEDIA_TYPES, SUFFIXES, TEXT_BYTES_MAX
from processors.tools.office_files import DOCX
from processors.tools.programs import PANDOC, path_of
from tests.factories.files import rgba_png
from tests.factories.office import docx, paragraph
from tests.unit.processors.tools.readers import needs, told
from tests.unit.processors.tools.workbench import Given, made, refused

pytestmark = pytest.mark.skipif(path_of(PANDOC) is None, reason="the extra office is not installed")
MARKDOWN = b"# Minutes\n\nIt was *decided*:\n\n1. to begin\n2. to go on\n"
FORMATS = list(MEDIA_TYPES)
OPF = "{http://www.idpf.org/2007/opf}"


def text(content: bytes, filename: str = "minutes.md", media_type: str = "text/plain") -> Given:
    return Given(content, filename, media_type)


@pytest.mark.parametrize("target", FORMATS)
async def test_a_document_goes_to_every_format_and_back(target: Any) -> None:
    there = await made("document-converter", text(MARKDOWN), output_format=target)
    found = MediaTypes().of(there.content)
    back = await made(
        "document-converter", Given(there.content, there.name, found), output_format="markdown"
    )

    assert (there.name, there.media_type) == (f"minutes{SUFFIXES[target]}", MEDIA_TYPES[target])
    # A lone first heading is the title of an RST.
    assert re.search(r"^(# |title: ).*Minutes$", back.text, re.MULTILINE)
    assert "*decided*" in back.text
    assert "2." in back.text
    assert "to go on" in back.text


@pytest.mark.parametrize("target", FORMATS)
async def test_the_same_document_gives_the_same_bytes(target: str) -> None:
    first = await made("document-converter", text(MARKDOWN), output_format=target)

    assert first == await made("document-converter", text(MARKDOWN), output_format=target)


async def test_mammoth_reads_a_word_document_that_pandoc_wrote() -> None:
    pytest.importorskip("mammoth")
    written = await made("document-converter", text(MARKDOWN), output_format="docx")

    read = await made("docx-to-markdown", Given(written.content, written.name, DOCX))

    assert "# Minutes" in read.text
    assert "*decided*" in read.text
    assert "2. to go on" in read.text


@needs("odt2txt", "odt2txt")
async def test_odt2txt_reads_an_opendocument_that_pandoc_wrote() -> None:
    written = await made("document-converter", text(MARKDOWN), output_format="odt")

    read = told(["odt2txt", "{}"], written.content).decode().split("\n")

    assert [line for line in read if line] == ["Minutes", "It was decided:", "to begin", "to go on"]


@needs("einfo", "epub-utils")
async def test_libepub_finds_the_parts_of_a_book_that_pandoc_wrote() -> None:
    written = await made("document-converter", text(MARKDOWN), output_format="epub")

    read = told(["einfo", "{}"], written.content).decode().split()

    assert "minutes" in read
    assert "EPUB/content.opf" in read
    assert "ch001_xhtml(L)" in read


async def test_a_book_is_whole_and_says_what_was_written() -> None:
    written = await made("document-converter", text(MARKDOWN), output_format="epub")

    with zipfile.ZipFile(io.BytesIO(written.content)) as book:
        first = book.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        package = ElementTree.fromstring(book.read("EPUB/content.opf"))
        held = {each.get("id"): each.get("href") for each in package.iterfind(f".//{OPF}item")}
        assert {f"EPUB/{path}" for path in held.values()} <= set(book.namelist())
        spine = [each.get("idref") for each in package.iterfind(f".//{OPF}itemref")]
        chapters = [ElementTree.fromstring(book.read(f"EPUB/{held[name]}")) for name in spine]
    words = " ".join(" ".join(chapter.itertext()) for chapter in chapters).split()
    assert " ".join(words).endswith("Minutes It was decided : to begin to go on")


@needs("rst2pseudoxml", "python3-docutils")
async def test_docutils_reads_a_text_that_pandoc_wrote() -> None:
    written = await made("document-converter", text(MARKDOWN), output_format="rst")

    read = told(["rst2pseudoxml", "--halt=2", "{}"], written.content).decode().split()

    words = [word for word in read if word.isalpha()]
    assert " ".join(words) == "Minutes It was decided to begin to go on"
    assert {"<emphasis>", "<enumerated_list", "<list_item>"} <= set(read)


async def test_other_libraries_read_the_page_and_the_markdown_that_pandoc_wrote() -> None:
    page = await made("document-converter", text(MARKDOWN), output_format="html")
    again = await made("document-converter", text(MARKDOWN), output_format="markdown")

    for body in (page.text, MarkdownIt("commonmark").render(again.text)):
        found = Elements(body)
        assert found.texts("h1") == ["Minutes"]
        assert found.texts("em") == ["decided"]
        assert found.texts("li") == ["to begin", "to go on"]


class Elements(HTMLParser):
    """The texts directly in the elements of a page, as Python's parser reads it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._open: list[str] = []
        self._texts: list[tuple[str, str]] = []
        self.feed(page)
        self.close()

    def texts(self, tag: str) -> list[str]:
        return [text for of, text in self._texts if of == tag]

    def handle_starttag(self, tag: str, _: object) -> None:
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip() and self._open:
            self._texts.append((self._open[-1], data.strip()))


async def test_a_word_document_becomes_text() -> None:
    given = Given(docx(paragraph("Hello", bold=True), paragraph("yes")), "a.docx", DOCX)

    result = await made("document-converter", given, output_format="rst")

    assert result.text.split() == ["**Hello**", "yes"]


async def book(content: bytes) -> zipfile.ZipFile:
    result = await made("document-converter", text(content), output_format="epub")
    return zipfile.ZipFile(io.BytesIO(result.content))


async def test_two_books_are_not_taken_for_one() -> None:
    one, other = await book(MARKDOWN), await book(MARKDOWN + b"x")

    assert one.read("EPUB/toc.ncx") != other.read("EPUB/toc.ncx")
    assert b">minutes</dc:title>" in one.read("EPUB/content.opf")


async def test_an_image_inside_stays_where_there_is_room_for_it() -> None:
    image = base64.b64encode(rgba_png()).decode()
    source = f"<p>yes</p><img alt='A bell' src='data:image/png;base64,{image}'>".encode()
    word = await made("document-converter", text(source, "a.html"), output_format="docx")
    given = Given(word.content, word.name, DOCX)

    page = await made("document-converter", given, output_format="html")
    prose = await made("document-converter", given, output_format="markdown")

    assert "data:image/png;base64," in page.text
    assert prose.text.split() == ["yes", "A", "bell"]
    assert "Left out or not found, such as raw HTML and images: 1." in prose.notes


@pytest.mark.parametrize(
    ("head", "title"),
    [("", "minutes"), ("title: Our *Talk*", "Our Talk"), ("pagetitle: Talk\ntitle: T", "Talk")],
)
async def test_a_page_has_the_title_of_its_document(head: str, title: str) -> None:
    content = f"---\n{head}\n---\n\nhello\n".encode() if head else b"hello\n"

    result = await made("document-converter", text(content), output_format="html")

    assert f"<title>{title}</title>" in result.text


DANGERS = b"""---
title: Kept
css: http://127.0.0.1/x.css
header-includes: <script>alert(1)</script>
---

# Hi

<script>alert(2)</script>

[a link](JavaScript:alert(3)) ![x](http://127.0.0.1/x.png)
"""


async def test_what_could_harm_a_reader_is_left_out_and_told() -> None:
    result = await made("document-converter", text(DANGERS), output_format="html")

    assert "Kept" in result.text
    assert "a link" in result.text
    assert "alert" not in result.text
    assert "x.css" not in result.text
    assert any(note.startswith("Left out or not found") for note in result.notes)


@pytest.mark.parametrize("target", ["docx", "epub", "html", "markdown"])
@pytest.mark.parametrize(
    ("content", "filename"),
    [
        (b"hi\n\n.. include:: /etc/passwd\n\n.. image:: /etc/passwd\n", "a.rst"),
        (b"hi\n\n\\input{/etc/passwd}\n\\includegraphics{/etc/passwd}\n", "a.tex"),
        (b"---\ncover-image: /etc/passwd\ncss: /etc/passwd\n---\n\nhi ![](/etc/passwd)\n", "a.md"),
        (b"<p>hi<img src='file:///etc/passwd'><iframe src='/etc/passwd'></p>", "a.html"),
    ],
    ids=["rst", "latex", "markdown", "html"],
)
async def test_no_other_file_is_read(content: bytes, filename: str, target: str) -> None:
    result = await made("document-converter", text(content, filename), output_format=target)

    parts = [result.content]
    if target in ("docx", "epub"):
        archive = zipfile.ZipFile(io.BytesIO(result.content))
        parts = [archive.read(name) for name in archive.namelist()]
    assert any(b"hi" in part for part in parts)
    assert not any(b"root:" in part or b"cm9vd" in part for part in parts)


async def test_headings_are_numbered_and_listed_as_wished() -> None:
    result = await made(
        *("document-converter", text(MARKDOWN)),
        **{"output_format": "html", "contents": True, "number_sections": True},
    )

    assert 'role="doc-toc"' in result.text
    assert 'class="header-section-number">1<' in result.text


def zipped(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def aliases(levels: int) -> str:
    """A head that names each list nine times in the next."""
    lists = ["a: &a [x]"]
    for before, after in itertools.pairwise("abcdefghijkl"[: levels + 1]):
        lists.append(f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]")
    return "\n".join(["---", *lists, "---", "", ""])


HEADS = {
    "at the start": aliases(10) + "hello\n",
    "of Windows": aliases(10).replace("\n", "\r\n"),
    "after a text": f"hello\n\n{aliases(10)}",
    "after a tag": f"<div>\n{aliases(10)}",
    "after another": f"---\ntitle: x\n{aliases(10)}",
    "in a quotation": "".join(f"> {line}\n" for line in aliases(10).splitlines()),
    "in a definition": "hello\n\n:   " + aliases(10).replace("\n", "\n    "),
    "a long one": f"---\na: &a {'x ' * 10_000}\nb: *a\n---\n\nhello\n",
}


@pytest.mark.parametrize("where", list(HEADS))
async def test_aliases_that_multiply_are_refused_before_they_do(where: str) -> None:
    error = await refused("document-converter", text(HEADS[where].encode()), output_format="html")

    assert error.code == "RESOURCE_LIMIT_EXCEEDED"
    assert "head of the document" in error.message


POINTERS = "\n".join(["```c", *["take(&buf, *buf);"] * 20, "```"])


@pytest.mark.parametrize(
    "content",
    [
        "---\ntitle: &name Kept\nauthor: [*name, *name]\n---\n\nhello\n",
        f"---\ntitle: Kept\n---\n\nhello\n\n{POINTERS}\n\n---\n\n{POINTERS}\n",
        "---\ntitle: Kept\nabstract: |\n" + "  *This* and *that* & more.\n" * 20 + "---\nhello\n",
        f"hello\n\nTo buffer\n---\n{POINTERS}\n\n---\ntitle: Kept\n...\n",
    ],
    ids=["aliases", "pointers", "stress", "a heading"],
)
async def test_an_ordinary_head_is_read(content: str) -> None:
    result = await made("document-converter", text(content.encode()), output_format="html")

    assert 'class="title">Kept</h1>' in result.text
    assert "hello" in result.text


ENTITY = '<!DOCTYPE x [<!ENTITY a "aaaa">]>'
REFUSED: dict[str, tuple[str, Given, dict[str, Any]]] = {
    "nothing": ("EMPTY_FILE", text(b""), {}),
    "a picture": ("UNSUPPORTED_MEDIA_TYPE", Given(b"\x89PNG", "a.png", "image/png"), {}),
    "any archive": ("UNSUPPORTED_MEDIA_TYPE", Given(zipped("a", b"x"), "a.docx", DOCX), {}),
    "no archive": ("UNSUPPORTED_MEDIA_TYPE", text(MARKDOWN), {"input_format": "odt"}),
    "a bomb": (
        "ARCHIVE_BOMB",
        Given(docx(paragraph("x"), image=bytes(40 * 1024**2)), "a.docx", DOCX),
        {},
    ),
    "entities": ("CORRUPT_FILE", Given(docx(paragraph("x"), before=ENTITY), "a.docx", DOCX), {}),
    "a broken part": (
        "CORRUPT_FILE",
        Given(zipped("word/document.xml", b"<w:document"), "a.docx", DOCX),
        {},
    ),
    "aliases that multiply": ("RESOURCE_LIMIT_EXCEEDED", text(aliases(10).encode()), {}),
    "a NUL": ("CORRUPT_FILE", text(b"a\0b"), {}),
    "too long": ("RESOURCE_LIMIT_EXCEEDED", text(b"a" * (TEXT_BYTES_MAX + 1)), {}),
}


@pytest.mark.parametrize("bad", list(REFUSED))
async def test_what_cannot_be_is_refused_by_its_code(bad: str) -> None:
    code, given, options = REFUSED[bad]

    assert (await refused("document-converter", given, **options)).code == code
