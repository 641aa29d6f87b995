"""Makes Markdown of Word documents. Importing this imports mammoth and markdownify."""

from typing import Any
from urllib.parse import quote

import mammoth
from mammoth import html
from markdownify import markdownify

from processors.tools.base import MIB, CorruptFile, OutputFile, ToolInput, ToolResult
from processors.tools.docx_to_markdown import IMAGE_TYPES, IMAGES_MAX, MARKDOWN
from processors.tools.filenames import clean_stem, output_name
from processors.tools.markdown_html import cleaned
from processors.tools.office_files import check_office_file
from processors.tools.parsing import parsing
from processors.tools.signatures import HEAD_BYTES, has_signature

MAIN_PART = "word/document.xml"
IMAGE_BYTES_MAX = 32 * MIB


def converted(input_data: ToolInput, *, with_images: bool) -> ToolResult:
    """The Markdown, and the images if they are wanted."""
    file = input_data.files[0]
    check_office_file(file, MAIN_PART)
    images = _Images(input_data, wanted=with_images)
    with parsing(), file.path.open("rb") as stream:
        made = mammoth.convert_to_html(
            stream,
            convert_image=images.take,
            external_file_access=False,
            include_embedded_style_map=False,
        )
        input_data.progress(0.5, "read")
        page = cleaned(made.value, images=with_images)
        text = images.named(markdownify(page, heading_style="ATX", bullets="-")).strip()
    if not text:
        raise CorruptFile("The document holds no text.")
    path = input_data.folder / "document.md"
    path.write_text(f"{text}\n", "utf-8", errors="replace")
    name = output_name(input_data.files, ".md")
    notes = [f"Images that were left out: {images.left_out}."] if images.left_out else []
    return ToolResult((OutputFile(name, path, MARKDOWN), *images.outputs), tuple(notes))


class _Images:
    """The images of a document, as outputs."""

    def __init__(self, input_data: ToolInput, *, wanted: bool) -> None:
        self.outputs: list[OutputFile] = []
        self.left_out = 0
        self._input = input_data
        self._wanted = wanted

    def take(self, image: Any) -> list[Any]:
        """What stands for one image in the HTML: a reference to an output, or nothing."""
        output = self._kept(image) if self._wanted else None
        if output is None:
            self.left_out += 1
            return []
        self.outputs.append(output)
        source = self._reference(len(self.outputs))
        return [html.element("img", {"src": source, "alt": image.alt_text or ""})]

    def named(self, text: str) -> str:
        """The Markdown in which the images have the names of their outputs."""
        for number, output in enumerate(self.outputs, 1):
            text = text.replace(self._reference(number), quote(output.name))
        return text

    @staticmethod
    def _reference(number: int) -> str:
        # As an address it comes through the cleaning of the HTML, which a file's name would not.
        return f"https://image.invalid/{number}."

    def _kept(self, image: Any) -> OutputFile | None:
        number = len(self.outputs) + 1
        if image.content_type not in IMAGE_TYPES or number > IMAGES_MAX:
            return None
        try:
            with image.open() as source:
                content = source.read(IMAGE_BYTES_MAX)
        except Exception:
            # A picture that lies elsewhere, or is not there at all, is no reason to refuse.
            return None
        if not content or not has_signature(content[:HEAD_BYTES], image.content_type):
            return None
        stem = clean_stem(self._input.files[0].filename).replace(" ", "-")
        name = f"{stem}-image-{number}{IMAGE_TYPES[image.content_type]}"
        path = self._input.folder / f"image-{number}"
        path.write_bytes(content)
        return OutputFile(name, path, image.content_type)
