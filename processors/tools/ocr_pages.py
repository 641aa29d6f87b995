"""Reads the pages of a document or a picture, and writes down what was read.

Importing this imports pikepdf, pypdfium2 and Pillow, so tools do it when they run. The engine
starts threads, so it is imported only where a page is read.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from processors.tools.base import (
    InputFile,
    NoText,
    OutputFile,
    ToolInput,
    ToolResult,
    TooManyPages,
)
from processors.tools.documents import PDF, START_MARK, page_indexes
from processors.tools.filenames import output_name
from processors.tools.images_to_pdf import ImagesToPdfOptions
from processors.tools.ocr import PAGES_READ_MAX, OcrOptions
from processors.tools.ocr_lines import Line, is_same_row
from processors.tools.parsing import parsing
from processors.tools.pdf_active import active_notes
from processors.tools.pdf_documents import document_of, rewriting_losses, saved
from processors.tools.pdf_drawing import page_pictures
from processors.tools.pdf_picturing import pictured
from processors.tools.pdf_text_layer import TextLayer
from processors.tools.pdfium_documents import opened as opened_document
from processors.tools.pixels import in_plain_colours, opened, read

PAGE_BREAK = "\f"


@dataclass(frozen=True, slots=True)
class Page:
    """What was read on a page."""

    index: int
    size: tuple[int, int]
    lines: list[Line]


def recognized(input_data: ToolInput, options: OcrOptions) -> ToolResult:
    """The text of the first input, in the format that is wished."""
    file = input_data.files[0]
    is_document = file.media_type == PDF or _begins_as_pdf(file)
    pages = _read(input_data, options, is_document=is_document)
    if not any(page.lines for page in pages):
        raise NoText("No text was found in the file.")
    if options.output_format == "pdf":
        return _searchable(input_data, pages, is_document=is_document)
    is_json = options.output_format == "json"
    suffix, kind = (".json", "application/json") if is_json else (".txt", "text/plain")
    path = input_data.folder / f"read{suffix}"
    path.write_text(_as_json(pages) if is_json else _as_text(pages), "utf-8")
    return ToolResult((OutputFile(output_name(input_data.files, suffix), path, kind),))


def _begins_as_pdf(file: InputFile) -> bool:
    with file.path.open("rb") as stream:
        return stream.read(len(START_MARK)) == START_MARK


def _read(input_data: ToolInput, options: OcrOptions, *, is_document: bool) -> list[Page]:
    from processors.tools.ocr_engine import Engine

    pages: list[Page] = []
    engine: Engine | None = None
    pictures = _document_pages if is_document else _picture_pages
    for index, picture, count in pictures(input_data.files[0], options):
        # Made late: a file that is refused need not wait for it.
        engine = engine or Engine(options.confidence)
        pages.append(Page(index, picture.size, engine.lines(picture)))
        input_data.progress(len(pages) / count * 0.9, f"page {len(pages)} of {count}")
    return pages


def _document_pages(file: InputFile, options: OcrOptions) -> Iterator[tuple[int, Image.Image, int]]:
    with parsing(), closing(opened_document(file)) as document:
        indexes = list(dict.fromkeys(page_indexes(options.pages, len(document))))
        _check_count(len(indexes))
        pictures = page_pictures(document, indexes, options.dpi)
        for index, picture in zip(indexes, pictures, strict=True):
            yield index, picture, len(indexes)


def _picture_pages(file: InputFile, _: OcrOptions) -> Iterator[tuple[int, Image.Image, int]]:
    with opened(file) as source:
        picture = read(source, all_frames=source.format == "TIFF")
    _check_count(len(picture.frames))
    for index, frame in enumerate(picture.frames):
        plain = in_plain_colours(frame, picture.profile, sixteen_bits=False)
        yield index, _on_white(plain), len(picture.frames)


def _check_count(count: int) -> None:
    if count > PAGES_READ_MAX:
        raise TooManyPages(f"These are {count} pages; {PAGES_READ_MAX} are read at once.")


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    ground = Image.new("RGB", picture.size, "white")
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground


def _as_text(pages: list[Page]) -> str:
    return PAGE_BREAK.join("".join(f"{row}\n" for row in _rows(page.lines)) for page in pages)


def _rows(lines: list[Line]) -> Iterator[str]:
    row: list[Line] = []
    for line in lines:
        if row and not is_same_row(row[0], line):
            yield " ".join(each.text for each in row)
            row = []
        row.append(line)
    if row:
        yield " ".join(each.text for each in row)


def _as_json(pages: list[Page]) -> str:
    told = [
        {
            "page": page.index + 1,
            "width": page.size[0],
            "height": page.size[1],
            "lines": [_told(line) for line in page.lines],
        }
        for page in pages
    ]
    return json.dumps({"pages": told}, ensure_ascii=False, indent=2) + "\n"


def _told(line: Line) -> dict[str, Any]:
    box = [round(side, 1) for side in (line.left, line.top, line.right, line.bottom)]
    return {"text": line.text, "box": box, "confidence": round(line.confidence, 3)}


def _searchable(input_data: ToolInput, pages: list[Page], *, is_document: bool) -> ToolResult:
    given = input_data if is_document else _with_pages(input_data)
    with document_of(given) as document:
        notes = (*rewriting_losses(document), *active_notes(document))
        layer = TextLayer(document)
        for page in pages:
            layer.add(page.index, page.size, page.lines)
        output = saved(document, given, "searchable.pdf")
    name = output_name(input_data.files, ".pdf")
    return ToolResult((OutputFile(name, output.path, PDF),), notes)


def _with_pages(input_data: ToolInput) -> ToolInput:
    """The picture as a document of its own, on pages of its own size."""
    made = pictured(input_data, ImagesToPdfOptions()).outputs[0]
    path: Path = made.path
    file = InputFile(path, made.name, PDF, path.stat().st_size, "")
    return ToolInput((file,), input_data.folder, input_data.progress)
