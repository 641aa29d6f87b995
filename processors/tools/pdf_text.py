"""Extracts text from PDF documents with PDFium.

Importing this imports pypdfium2, so tools do it when they run.
"""

from collections.abc import Iterator
from contextlib import closing

import pypdfium2

from processors.tools.base import (
    NoText,
    OutputFile,
    ToolInput,
    ToolResult,
    TooManyPages,
)
from processors.tools.documents import PAGES_MAX, page_indexes
from processors.tools.filenames import output_name
from processors.tools.parsing import parsing
from processors.tools.pdfium_documents import opened

PAGE_BREAK = "\f"


def extracted(input_data: ToolInput, ranges: str) -> ToolResult:
    """A UTF-8 file with the text of the pages that are asked for."""
    path = input_data.folder / "text.txt"
    has_text = False
    with parsing(), closing(opened(input_data.files[0])) as document:
        indexes = page_indexes(ranges, len(document))
        if len(indexes) > PAGES_MAX:
            raise TooManyPages(f"These are {len(indexes)} pages; {PAGES_MAX} are allowed.")
        with path.open("w", encoding="utf-8", errors="replace", newline="\n") as stream:
            for done, text in enumerate(_texts(document, indexes), 1):
                has_text = has_text or not text.isspace()
                stream.write(text if done == 1 else f"{PAGE_BREAK}{text}")
                input_data.progress(done / len(indexes), f"page {done} of {len(indexes)}")
    if not has_text:
        raise NoText
    name = output_name(input_data.files, ".txt")
    return ToolResult((OutputFile(name, path, "text/plain"),))


def _texts(document: pypdfium2.PdfDocument, indexes: list[int]) -> Iterator[str]:
    for index in indexes:
        with closing(document[index]) as page, closing(page.get_textpage()) as text_page:
            text: str = text_page.get_text_bounded()
            yield text.replace("\r\n", "\n").rstrip("\n") + "\n"
