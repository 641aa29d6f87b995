"""Merges PDF documents with qpdf.

Importing this imports pikepdf, so tools do it when they run. What is lost on the way is noted.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pikepdf
from pikepdf import OutlineItem, Pdf

from processors.tools.base import (
    InputFile,
    OutputFile,
    ToolInput,
    ToolResult,
    TooManyPages,
)
from processors.tools.documents import PAGES_MAX, PDF
from processors.tools.filenames import clean_stem, output_name
from processors.tools.pdf_active import active_notes
from processors.tools.pdf_documents import copying_losses, opened, reading, write_plainly

BOOKMARKS_MAX = 10_000
BOOKMARK_DEPTH_MAX = 16
BOOKMARK_LENGTH_MAX = 500


def merged(input_data: ToolInput, *, bookmarks: bool) -> ToolResult:
    """One document with the pages of all."""
    notes: list[str] = []
    path = input_data.folder / "merged.pdf"
    files = input_data.files
    with ExitStack() as open_documents, Pdf.new() as target:
        outline: list[OutlineItem] = []
        for number, file in enumerate(files, 1):
            with reading(f"File {number}"):
                # They stay open: pages are copied only when the whole is saved.
                source = open_documents.enter_context(opened(file, f"File {number}"))
                notes += copying_losses(source, f"File {number}")
                first = len(target.pages)
                _append(target, source)
                if bookmarks:
                    outline.append(_chapter(file, source, first))
            input_data.progress(number / len(files) * 0.8, f"{number} of {len(files)}")
        _set_outline(target, outline)
        with reading("One of the files"):
            notes += active_notes(target)
            write_plainly(target, path)
    return ToolResult((OutputFile(output_name(files, ".pdf"), path, PDF),), tuple(notes))


def _append(target: Pdf, source: Pdf) -> None:
    if len(target.pages) + len(source.pages) > PAGES_MAX:
        raise TooManyPages(f"The documents have more than {PAGES_MAX} pages together.")
    target.pages.extend(source.pages)


def _chapter(file: InputFile, source: Pdf, first: int) -> OutlineItem:
    chapter = OutlineItem(clean_stem(file.filename), first)
    pages = {page.obj.objgen: first + index for index, page in enumerate(source.pages)}
    try:
        with source.open_outline(max_depth=BOOKMARK_DEPTH_MAX) as outline:
            chapter.children.extend(_copied(outline.root, pages))
    except Exception:
        # Bookmarks that cannot be read are worth less than the pages.
        chapter.children.clear()
    return chapter


def _copied(items: list[OutlineItem], pages: dict[tuple[int, int], int]) -> Iterator[OutlineItem]:
    for item in items[:BOOKMARKS_MAX]:
        page = pages.get(_target_of(item))
        copy = OutlineItem(item.title[:BOOKMARK_LENGTH_MAX], page)
        copy.is_closed = True
        copy.children.extend(_copied(item.children, pages))
        if page is not None or copy.children:
            yield copy


def _target_of(item: OutlineItem) -> tuple[int, int]:
    destination: object = item.destination
    if destination is None and item.action is not None:
        destination = item.action.get("/D")
    if isinstance(destination, pikepdf.Array) and len(destination):
        return destination[0].objgen
    return (0, 0)


def _set_outline(target: Pdf, chapters: list[OutlineItem]) -> None:
    # One document alone needs no chapter.
    roots = chapters[0].children if len(chapters) == 1 else chapters
    if roots:
        with target.open_outline() as outline:
            outline.root.extend(roots)
