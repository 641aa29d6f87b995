"""The tools for Markdown and Word documents."""

import html.parser
import io
import zipfile
from typing import Any

import pikepdf
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.tools.markdown_html import cleaned
from processors.tools.markdown_reading import parser
from processors.tools.office_files import DOCX, OLE_MARK
from processors.tools.typst_code import TypstCode, quoted
from tests.factories import files
from tests.factories.office import docx, paragraph
from tests.unit.processors.tools.workbench import Given, Made, made, made_all, refused

TEXT = """# Report of the *year*

Some **bold**, ~~old~~ and `code` words.\\
A [link](https://example.org/a?b=1&c=2).

1. one
2. two
   - deeper

> quoted

| a | b |
|---|--:|
| 1 | 2 |

```python
print("x")
```

---
"""


def markdown(content: str | bytes = TEXT) -> Given:
    body = content.encode() if isinstance(content, str) else content
    return Given(body, "report.md", "text/plain")


class Tags(html.parser.HTMLParser):
    """Every tag with its attributes, as another parser than the one that made them sees it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


async def test_markdown_becomes_a_page() -> None:
    result = await made("markdown-to-html", markdown())

    assert (result.name, result.media_type) == ("report.html", "text/html")
    assert "<title>Report of the year</title>" in result.text
    for piece in (
        "<h1>Report of the <em>year</em></h1>",
        "<strong>bold</strong>",
        '<td align="right">2</td>',
        '<a href="https://example.org/a?b=1&amp;c=2" rel="noopener noreferrer">link</a>',
        '<pre><code class="language-python">print("x")\n</code></pre>',
        "<blockquote>",
    ):
        assert piece in result.text


async def test_only_what_stands_in_the_page_can_be_had() -> None:
    result = await made("markdown-to-html", markdown("Hi *you*"), standalone=False)

    assert result.text == "<p>Hi <em>you</em></p>\n"


async def test_the_title_can_be_given_and_is_escaped() -> None:
    result = await made("markdown-to-html", markdown(), title="</title><script>alert(1)</script>")

    assert "<script" not in result.text


DANGEROUS = [
    "<script>alert(1)</script>ok",
    "<img src=x onerror=alert(1)>ok",
    "[ok](javascript:alert(1))",
    "[ok](JaVaScRiPt&#58;alert(1))",
    "[ok](data:text/html;base64,PHNjcmlwdD4=)",
    "[ok](file:///etc/passwd)",
    "![ok](file:///etc/passwd)",
    "<iframe src='https://evil.example'></iframe>ok",
    "<a href='vbscript:x'>ok</a>",
    "<svg onload=alert(1)>ok</svg>",
    "<style>@import 'https://evil.example'</style>ok",
    "<form action='https://evil.example'><input name=x></form>ok",
]
SWALLOWING = "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>"


@pytest.mark.parametrize("text", DANGEROUS)
async def test_nothing_in_a_page_runs_or_reaches_for_files(text: str) -> None:
    result = await made("markdown-to-html", markdown(f"{text}\n\nend"), standalone=False)

    check_harmless(result.text)
    assert "end" in result.text


def check_harmless(page: str) -> None:
    for tag, attributes in Tags(page).found:
        assert tag not in {"script", "style", "iframe", "svg", "form", "input", "object", "math"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("href", "src"):
                scheme = (value or "").partition(":")[0].lower()
                assert ":" not in (value or "") or scheme in {"http", "https", "mailto"}


@given(
    st.lists(st.sampled_from([*DANGEROUS, SWALLOWING, "<", ">", "`", "\n", '"', "*"]), max_size=8)
)
@settings(max_examples=50, deadline=None)
def test_no_mixture_of_dangers_comes_through(pieces: list[str]) -> None:
    check_harmless(cleaned(parser().render("".join(pieces)), images=True))


async def test_images_are_left_out_where_that_is_wished() -> None:
    given_file = markdown("![x](https://example.org/a.png) text")

    kept = await made("markdown-to-html", given_file)
    gone = await made("markdown-to-html", given_file, images=False)

    assert ("<img " in kept.text, "<img " in gone.text) == (True, False)


def words(document: Made) -> str:
    reader = pypdfium2.PdfDocument(document.content)
    try:
        return "\n".join(page.get_textpage().get_text_bounded() for page in reader)
    finally:
        reader.close()


async def test_markdown_becomes_a_pdf() -> None:
    result = await made("markdown-to-pdf", markdown())

    assert (result.name, result.media_type) == ("report.pdf", "application/pdf")
    text = words(result)
    for piece in ("Report of the year", "bold", "1. one", "deeper", "quoted", 'print("x")'):
        assert piece in text
    with pikepdf.open(io.BytesIO(result.content)) as document:
        assert str(document.docinfo["/Title"]) == "Report of the year"
        assert "https://example.org/a?b=1&c=2" in str(links(document))
        assert [float(side) for side in document.pages[0].mediabox][2:] == pytest.approx(
            [595.28, 841.89], abs=0.1
        )


def links(document: pikepdf.Pdf) -> list[Any]:
    notes = document.pages[0].obj.get("/Annots", [])
    return [str(note.A.URI) for note in notes if "/A" in note]


async def test_the_same_markdown_gives_the_same_pdf() -> None:
    assert await made("markdown-to-pdf", markdown()) == await made("markdown-to-pdf", markdown())


async def test_pages_look_as_is_wished() -> None:
    many = "\n\n".join(f"# Chapter {n}\n\n" + "word " * 400 for n in range(4))

    result = await made(
        "markdown-to-pdf", markdown(many), paper="a5", margin=10, font_size=8, contents=True
    )

    with pikepdf.open(io.BytesIO(result.content)) as document:
        assert float(document.pages[0].mediabox[2]) == pytest.approx(419.53, abs=0.1)
    assert words(result).count("Chapter 2") == 2


CODE_OF_TYPST = [
    '#read("/etc/passwd")',
    '#image("/etc/passwd")',
    '"] #panic() #["',
    '\\u{0} $x$ @ref <label> #import "@preview/x:1.0.0"',
    "`#panic()` and **#panic()**",
    '```\n#panic()\n"\\\n```',
    '[#panic()](https://example.org/"#panic())',
    "| #panic() |\n|---|\n| ]#panic()[ |",
    "1) a\n\n   b\n2) c\n\n- x\n\n- y",
    "> - `x`\n>\n> 1. *y*",
]


@pytest.mark.parametrize("text", CODE_OF_TYPST)
async def test_words_are_never_taken_for_code(text: str) -> None:
    result = await made("markdown-to-pdf", markdown(f"{text}\n\nend"))

    assert "end" in words(result)
    assert "root:" not in words(result)


@given(st.text(alphabet='ab#[](){}"\\*_`|-$@<>=\n 1.', max_size=200))
@settings(max_examples=25, deadline=None)
def test_any_markdown_can_be_set(text: str) -> None:
    import typst

    typst.compile(TypstCode().of(parser().parse(text)).encode(), ignore_system_fonts=True)


def test_a_string_of_typst_holds_any_text() -> None:
    assert quoted('a"b\\c\n') == '"a\\"b\\\\c\\n"'


async def test_what_a_pdf_lacks_is_said() -> None:
    result = await made("markdown-to-pdf", markdown("![x](a.png) <b>y</b> 日本 <br> z"))

    assert result.notes == (
        "Read as utf-8.",
        "Images that were left out: 1.",
        "Pieces of raw HTML that were left out: 2.",
        "The text has characters that the fonts lack; they may be missing.",
    )


BAD: dict[str, tuple[str, bytes]] = {
    "a NUL": ("CORRUPT_FILE", b"a\0b"),
    "blank": ("CORRUPT_FILE", b" \n"),
    "nothing": ("EMPTY_FILE", b""),
    "too long": ("RESOURCE_LIMIT_EXCEEDED", b"x" * (11 * 1024**2)),
}


@pytest.mark.parametrize("tool", ["markdown-to-html", "markdown-to-pdf"])
@pytest.mark.parametrize("bad", list(BAD))
async def test_bad_markdown_is_refused_by_its_code(tool: str, bad: str) -> None:
    code, content = BAD[bad]

    assert (await refused(tool, markdown(content))).code == code


def word(content: bytes) -> Given:
    return Given(content, "Brief an Opa.docx", DOCX)


async def test_a_document_becomes_markdown_with_its_images() -> None:
    content = docx(
        paragraph("Title", "Heading1"),
        paragraph("Some text &amp; more."),
        paragraph("Important", bold=True),
        image=files.rgba_png(),
    )

    text, image = await made_all("docx-to-markdown", word(content))

    assert (text.name, text.media_type) == ("Brief an Opa.md", "text/markdown")
    assert text.text == (
        "# Title\n\nSome text & more.\n\n**Important**\n\n"
        "![A picture](Brief-an-Opa-image-1.png)\n"
    )
    assert (image.name, image.content) == ("Brief-an-Opa-image-1.png", files.rgba_png())


async def test_images_of_a_document_are_left_out_where_that_is_wished() -> None:
    content = docx(paragraph("Text"), image=files.rgba_png())

    result = await made("docx-to-markdown", word(content), images=False)

    assert result.text == "Text\n"
    assert result.notes == ("Images that were left out: 1.",)


@pytest.mark.parametrize("place", ["file:///etc/passwd", "/etc/passwd", "http://127.0.0.1:1/x.png"])
async def test_images_that_lie_elsewhere_are_not_fetched(place: str) -> None:
    result = await made("docx-to-markdown", word(docx(paragraph("Text"), linked=place)))

    assert result.text == "Text\n"


def bomb() -> bytes:
    stream = io.BytesIO(docx(paragraph("x")))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/huge.xml", b"<a>" + b" " * (40 * 1024**2) + b"</a>")
    return stream.getvalue()


XXE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
BAD_DOCUMENTS: dict[str, tuple[str, bytes]] = {
    "an external entity": ("CORRUPT_FILE", docx(paragraph("&e;"), before=XXE)),
    "many laughs": ("CORRUPT_FILE", docx(paragraph("&b;"), before=LAUGHS)),
    "a bomb": ("ARCHIVE_BOMB", bomb()),
    "deep nesting": ("CORRUPT_FILE", docx("<w:p>" * 5_000 + "</w:p>" * 5_000)),
    "no XML": ("CORRUPT_FILE", docx("<w:p>")),
    "no text": ("CORRUPT_FILE", docx(paragraph(""))),
    "cut short": ("CORRUPT_FILE", files.truncated(docx(paragraph("x")))),
    "a workbook": ("UNSUPPORTED_MEDIA_TYPE", files.workbook([["a"]])),
    "the old format": ("UNSUPPORTED_MEDIA_TYPE", OLE_MARK + bytes(600)),
    "encrypted": ("PASSWORD_REQUIRED", OLE_MARK + "EncryptedPackage".encode("utf-16-le")),
    "prose": ("UNSUPPORTED_MEDIA_TYPE", b"Dear reader"),
    "nothing": ("EMPTY_FILE", b""),
}


@pytest.mark.parametrize("bad", list(BAD_DOCUMENTS))
async def test_a_bad_document_is_refused_by_its_code(bad: str) -> None:
    code, content = BAD_DOCUMENTS[bad]

    assert (await refused("docx-to-markdown", word(content))).code == code
