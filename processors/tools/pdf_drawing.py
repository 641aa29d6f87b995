"""Draws the pages of PDF documents with PDFium.

Importing this imports pypdfium2 and Pillow, so tools do it when they run.
"""

import math
from collections.abc import Iterator
from contextlib import closing

import pypdfium2
from PIL import Image

from processors.tools.base import OutputFile, ToolInput, ToolResult, TooManyPages
from processors.tools.documents import page_indexes
from processors.tools.filenames import output_name
from processors.tools.parsing import parsing
from processors.tools.pdf_to_images import PAGES_AT_ONCE_MAX, PdfToImagesOptions
from processors.tools.pdfium_documents import POINTS_PER_INCH, opened
from processors.tools.picture_formats import FORMATS
from processors.tools.pixels import check_size


def drawn(input_data: ToolInput, options: PdfToImagesOptions) -> ToolResult:
    """A picture of each page that is asked for, numbered as the pages are."""
    kind = FORMATS[options.output_format]
    quality = {} if kind.quality is None else {"quality": options.quality}
    outputs: list[OutputFile] = []
    with parsing(), closing(opened(input_data.files[0])) as document:
        indexes = list(dict.fromkeys(page_indexes(options.pages, len(document))))
        if len(indexes) > PAGES_AT_ONCE_MAX:
            raise TooManyPages(
                f"These are {len(indexes)} pages; {PAGES_AT_ONCE_MAX} are drawn at once."
            )
        digits = len(str(len(document)))
        for index, picture in zip(
            indexes, page_pictures(document, indexes, options.dpi), strict=True
        ):
            suffix = f"-{index + 1:0{digits}}{kind.suffix}"
            path = input_data.folder / f"page{suffix}"
            picture.save(path, kind.encoder, **quality)
            outputs.append(OutputFile(output_name(input_data.files, suffix), path, kind.media_type))
            done = len(outputs)
            input_data.progress(done / len(indexes), f"page {done} of {len(indexes)}")
    return ToolResult(tuple(outputs))


def page_pictures(
    document: pypdfium2.PdfDocument, indexes: list[int], dpi: int
) -> Iterator[Image.Image]:
    """How pages look, one after the other; each is checked before it is drawn."""
    # Without this the fields of a form would be left out.
    document.init_forms()
    scale = dpi / POINTS_PER_INCH
    for index in indexes:
        with closing(document[index]) as page:
            check_size((math.ceil(page.get_width() * scale), math.ceil(page.get_height() * scale)))
            with closing(page.render(scale=scale)) as bitmap:
                yield bitmap.to_pil().convert("RGB")
