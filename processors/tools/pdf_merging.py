"""Merges PDF documents with qpdf.

Importing this imports pikepdf, so tools do it when they run. What is lost on the way is noted.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pikepdf
from pikepdf import OutlineItem, Pdf

from processors.tools.base import (
    InputFile,
    OutputFile,
    PasswordRequired,
    ToolInput,
    ToolResult,
    TooManyPages,
)
from processors.tools.documents import PDF, check_whole
from processors.tools.filenames import clean_stem, output_name
from processors.tools.parsing import parsing

PAGES_MAX = 10_000
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
            with _reading(f"File {number}"):
                # They stay open: pages are copied only when the whole is saved.
                source = open_documents.enter_context(_opened(file, number))
                notes += [f"File {number}: {note}" for note in _losses(source)]
                first = len(target.pages)
                _append(target, source)
                if bookmarks:
                    outline.append(_chapter(file, source, first))
            input_data.progress(number / len(files) * 0.8, f"{number} of {len(files)}")
        _set_outline(target, outline)
        with _reading("One of the files"):
            # The same documents give the same bytes again.
            target.save(path, deterministic_id=True)
    return ToolResult((OutputFile(output_name(files, ".pdf"), path, PDF),), tuple(notes))


@contextmanager
def _reading(subject: str) -> Iterator[None]:
    with parsing(f"{subject} is damaged."):
        try:
            yield
        except pikepdf.PasswordError:
            raise PasswordRequired(f"{subject} is protected with a password.") from None


def _opened(file: InputFile, number: int) -> Pdf:
    check_whole(file, f"File {number}")
    return pikepdf.open(file.path)


def _losses(source: Pdf) -> Iterator[str]:
    if source.is_encrypted:
        yield "it was encrypted, the result is not."
    form = source.Root.get("/AcroForm")
    if isinstance(form, pikepdf.Dictionary):
        if int(form.get("/SigFlags", 0)) & 1:
            yield "it was signed; the signature does not hold for the result."
        elif len(form.get("/Fields", [])):
            yield "its form can no longer be filled in."


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
