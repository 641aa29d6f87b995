"""Reads an SVG of a stranger: how large it is, and only what it holds itself.

References to other files and addresses are taken out, because the library that draws would read
them. Entities are resolved within expat's own limits, those of other files never.
"""

import base64
import binascii
import io
import math
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes
from xml.etree.ElementTree import Element, TreeBuilder

from defusedxml.ElementTree import DefusedXMLParser
from PIL import Image

from processors.tools.base import CorruptFile, ResourceLimitExceeded, UnsupportedMediaType
from processors.tools.parsing import parsing
from processors.tools.pixels import check_size, decoding

NAMESPACE = "{http://www.w3.org/2000/svg}"
HREFS = ("href", "{http://www.w3.org/1999/xlink}href")
ELEMENTS_MAX = 200_000
"""Also of those that are drawn because another one uses them again."""
DEFAULT_SIZE = (300.0, 150.0)
"""What browsers take for a drawing that says nothing of its size."""
FONT_SIZE = 16.0
UNITS = {
    **{"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4},
    **{"em": FONT_SIZE, "rem": FONT_SIZE, "ex": FONT_SIZE / 2},
}
LENGTH = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-z]*)\s*")
RASTERS = ("image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp")
READERS = ("PNG", "JPEG", "GIF", "WEBP")


def read(path: Path) -> tuple[Element, int]:
    """The drawing without references to anything outside, and how many there were."""
    with parsing("The drawing is damaged."):
        root = _parsed(path)
        if root.tag not in (f"{NAMESPACE}svg", "svg"):
            raise UnsupportedMediaType("The file is not an SVG.")
        left_out = sum(_without_outside(element) for element in root.iter())
        _check_weight(root)
    return root, left_out


def _parsed(path: Path) -> Element:
    parser = DefusedXMLParser(
        target=_Counted(), forbid_dtd=False, forbid_entities=False, forbid_external=True
    )
    with path.open("rb") as stream:
        while block := stream.read(64 * 1024):
            parser.feed(block)
    root: Element = parser.close()
    return root


class _Counted(TreeBuilder):
    """Builds a tree until it has too many elements."""

    def __init__(self) -> None:
        super().__init__()
        self._elements = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._elements += 1
        if self._elements > ELEMENTS_MAX:
            raise ResourceLimitExceeded(f"The drawing has more than {ELEMENTS_MAX} elements.")
        return super().start(tag, attrs)


def _without_outside(element: Element) -> int:
    left_out = 0
    for name in HREFS:
        value = element.get(name, "").strip()
        if value and not value.startswith("#") and not _is_picture_within(value):
            del element.attrib[name]
            # A link draws nothing; everything else would have been seen.
            left_out += element.tag != f"{NAMESPACE}a"
    return left_out


def _is_picture_within(value: str) -> bool:
    """Whether a reference is a picture that stands in the drawing itself, of a sane size."""
    head, comma, body = value.partition(",")
    kind, *rest = head.removeprefix("data:").split(";")
    if not head.startswith("data:") or not comma or kind.strip().lower() not in RASTERS:
        return False
    try:
        content = base64.b64decode(body) if "base64" in rest else unquote_to_bytes(body)
    except (binascii.Error, ValueError):
        return False
    with decoding(), Image.open(io.BytesIO(content), formats=READERS) as picture:
        check_size(picture.size)
    return True


def _check_weight(root: Element) -> None:
    by_id = {name: element for element in root.iter() if (name := element.get("id"))}
    weights: dict[Element, int] = {}

    def weight(element: Element) -> int:
        if element not in weights:
            # A circle weighs nothing here; the library finds it by itself.
            weights[element] = 0
            weights[element] = 1 + sum(map(weight, [*element, *_used(element, by_id)]))
        return weights[element]

    if weight(root) > ELEMENTS_MAX:
        raise ResourceLimitExceeded(
            f"The drawing uses parts again and again, more than {ELEMENTS_MAX} elements together."
        )


def _used(element: Element, by_id: dict[str, Element]) -> Iterator[Element]:
    if element.tag == f"{NAMESPACE}use":
        for name in HREFS:
            target = by_id.get(element.get(name, "").strip().removeprefix("#"))
            if target is not None:
                yield target


def size_of(root: Element) -> tuple[float, float]:
    """How large a drawing says it is, in pixels."""
    width, height = _resolved(
        _length(root.get("width")), _length(root.get("height")), _view_box(root)
    )
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise CorruptFile("The drawing has no size.")
    return width, height


def _resolved(
    width: float | None, height: float | None, box: tuple[float, float] | None
) -> tuple[float, float]:
    if width is not None and height is not None:
        return width, height
    if width is not None:
        return width, width * box[1] / box[0] if box else DEFAULT_SIZE[1]
    if height is not None:
        return height * box[0] / box[1] if box else DEFAULT_SIZE[0], height
    return box or DEFAULT_SIZE


def _view_box(root: Element) -> tuple[float, float] | None:
    parts = re.split(r"[\s,]+", root.get("viewBox", "").strip())
    try:
        _, _, width, height = map(float, parts)
    except ValueError:
        return None
    is_sane = 0 < width < math.inf and 0 < height < math.inf
    return (width, height) if is_sane else None


def _length(text: str | None) -> float | None:
    """A length in pixels; None where it depends on what the drawing stands in."""
    match = LENGTH.fullmatch(text or "")
    if match is None or match[2] not in UNITS:
        return None
    return float(match[1]) * UNITS[match[2]]
