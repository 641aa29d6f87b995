"""Extracts text from PDF documents with PDFium.

Importing this imports pypdfium2, so tools do it when they run.
"""

from collections.abc import Iterator
from contextlib import closing

import pypdfium2
import pypdfium2.raw

from processors.tools.base import (
    InputFile,
    NoText,
    OutputFile,
    PasswordRequired,
    ToolInput,
    ToolResult,
    TooManyPages,
)
from processors.tools.documents import PAGES_MAX, check_whole, page_indexes
from processors.tools.filenames import output_name
from processors.tools.parsing import parsing

PAGE_BREAK = "\f"


def extracted(input_data: ToolInput, ranges: str) -> ToolResult:
    """A UTF-8 file with the text of the pages that are asked for."""
    path = input_data.folder / "text.txt"
    has_text = False
    with parsing(), closing(_opened(input_data.files[0])) as document:
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


def _opened(file: InputFile) -> pypdfium2.PdfDocument:
    check_whole(file)
    try:
        return pypdfium2.PdfDocument(file.path)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise PasswordRequired from None
        raise


def _texts(document: pypdfium2.PdfDocument, indexes: list[int]) -> Iterator[str]:
    for index in indexes:
        with closing(document[index]) as page, closing(page.get_textpage()) as text_page:
            text: str = text_page.get_text_bounded()
            yield text.replace("\r\n", "\n").rstrip("\n") + "\n"
