"""Shows a file on a page: as a picture, as text, or by what can be said of it."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Final

import pypdfium2
from PIL import Image

SIDE_MAX: Final = 240
PAGE_SIDE_MAX: Final = 420
LINES_MAX: Final = 14
CHARACTERS_MAX: Final = 900
NAMES_MAX: Final = 12
BLEND: Final = (255, 255, 255)


class Preview:
    """What stands on a page for one file; `write_to` leaves its picture beside the page."""

    def __init__(self, name: str, media_type: str, content: bytes) -> None:
        self.name = name
        self._media_type = media_type
        self._content = content

    def markdown(self, picture_name: str) -> str:
        """As Markdown; a picture is named, if there is one."""
        caption = f"`{self.name}`, `{self._media_type}`, {len(self._content):,} bytes"
        if self.picture() is not None:
            return f"{caption}\n\n![{self.name}]({picture_name})\n"
        text = self._text()
        return f"{caption}\n" if text is None else f"{caption}\n\n````\n{text}\n````\n"

    def write_to(self, path: Path) -> None:
        """Write the picture, if there is one."""
        picture = self.picture()
        if picture is not None:
            picture.save(path, "PNG", optimize=True)

    def picture(self) -> Image.Image | None:
        """The file as a small picture; None for what is none."""
        if self._media_type == "application/pdf":
            return self._first_page()
        if self._media_type == "image/svg+xml" or not self._media_type.startswith("image/"):
            return None
        with Image.open(io.BytesIO(self._content)) as opened:
            small = opened.convert("RGBA")
        small.thumbnail((SIDE_MAX, SIDE_MAX))
        page = Image.new("RGBA", small.size, (*BLEND, 255))
        return Image.alpha_composite(page, small).convert("RGB")

    def _first_page(self) -> Image.Image | None:
        try:
            document = pypdfium2.PdfDocument(self._content)
        except pypdfium2.PdfiumError:
            return None
        picture: Image.Image = document[0].render(scale=1).to_pil().convert("RGB")
        picture.thumbnail((PAGE_SIDE_MAX, PAGE_SIDE_MAX))
        return picture

    def _text(self) -> str | None:
        if self._media_type == "application/zip":
            with zipfile.ZipFile(io.BytesIO(self._content)) as archive:
                return "\n".join(archive.namelist()[:NAMES_MAX])
        try:
            lines = self._content.decode().splitlines()
        except UnicodeDecodeError:
            return None
        cut = "\n".join(lines[:LINES_MAX])[:CHARACTERS_MAX]
        return cut if len(lines) <= LINES_MAX else f"{cut}\n…"

    @property
    def digest(self) -> str:
        """Its SHA-256."""
        return hashlib.sha256(self._content).hexdigest()
