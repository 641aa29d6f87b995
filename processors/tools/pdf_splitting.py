"""Cuts PDF documents into several with qpdf.

Importing this imports pikepdf, so tools do it when they run. What is lost on the way is noted.
"""

from collections.abc import Iterator, Sequence

from pikepdf import Pdf

from processors.tools.base import OutputFile, ToolInput, ToolResult, TooManyPages
from processors.tools.documents import PAGES_MAX, PDF, page_ranges
from processors.tools.filenames import output_name
from processors.tools.pdf_active import active_notes
from processors.tools.pdf_documents import copying_losses, document_of, write_plainly
from processors.tools.pdf_splitter import DOCUMENTS_MAX

Part = Sequence[int]


def split(input_data: ToolInput, ranges: str, every: int, *, as_one: bool) -> ToolResult:
    """A document for each part, numbered in the order of the parts."""
    outputs = []
    with document_of(input_data) as source:
        parts = list(_parts(ranges, every, len(source.pages), as_one))
        _check(parts)
        notes = list(copying_losses(source))
        active: list[str] = []
        for number, part in enumerate(parts, 1):
            outputs.append(_written(source, part, input_data, _suffix(number, len(parts)), active))
            input_data.progress(number / len(parts), f"{number} of {len(parts)}")
    return ToolResult(tuple(outputs), (*notes, *active))


def _parts(ranges: str, every: int, count: int, as_one: bool) -> Iterator[Part]:
    if not ranges.strip():
        step = count if as_one else every
        yield from (range(start, min(start + step, count)) for start in range(0, count, step))
    elif as_one:
        yield [index for part in page_ranges(ranges, count) for index in part]
    else:
        yield from page_ranges(ranges, count)


def _check(parts: list[Part]) -> None:
    if len(parts) > DOCUMENTS_MAX:
        raise TooManyPages(f"These are {len(parts)} documents; {DOCUMENTS_MAX} are allowed.")
    if sum(map(len, parts)) > PAGES_MAX:
        raise TooManyPages(f"These are more than {PAGES_MAX} pages.")


def _suffix(number: int, count: int) -> str:
    # So many digits that names sort as the parts do.
    return f"-{number:0{len(str(count))}}.pdf" if count > 1 else ".pdf"


def _written(
    source: Pdf, part: Part, input_data: ToolInput, suffix: str, active: list[str]
) -> OutputFile:
    path = input_data.folder / f"part{suffix}"
    with Pdf.new() as target:
        target.pages.extend(source.pages[index] for index in part)
        # Pages often share one list of all fonts and pictures.
        target.remove_unreferenced_resources()
        # It is said once, whichever parts it is true of.
        active += () if active else active_notes(target)
        write_plainly(target, path)
    return OutputFile(output_name(input_data.files, suffix), path, PDF)
