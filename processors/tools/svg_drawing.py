"""Draws SVGs with resvg.

Importing this imports resvg and Pillow, so tools do it when they run. resvg aborts the process when
it gets no memory, so the size is checked first, and the rest is left to the sandbox.
"""

import io
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import resvg_py
from PIL import Image

from processors.tools.base import OutputFile, ToolInput, ToolResult
from processors.tools.filenames import output_name
from processors.tools.parsing import parsing
from processors.tools.picture_formats import FORMATS
from processors.tools.pixels import check_size
from processors.tools.svg_reading import NAMESPACE, read, size_of
from processors.tools.svg_to_image import SvgToImageOptions

FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts")
WHITE = "#ffffff"
SIDE_HOLDS = 2.0**31


def drawn(input_data: ToolInput, options: SvgToImageOptions) -> ToolResult:
    """A picture of the first input."""
    root, left_out = read(input_data.files[0].path)
    _resize(root, options)
    input_data.progress(0.3, "read")
    kind = FORMATS[options.output_format]
    background = options.background or (WHITE if not kind.has_alpha else None)
    with parsing("The drawing is damaged."):
        content = resvg_py.svg_to_bytes(
            svg_string=ElementTree.tostring(root, encoding="unicode"), background=background
        )
    path = input_data.folder / f"drawing{kind.suffix}"
    if options.output_format == "png":
        path.write_bytes(content)
    else:
        with Image.open(io.BytesIO(content)) as picture:
            picture.convert("RGBA" if kind.has_alpha else "RGB").save(
                path, kind.encoder, quality=options.quality
            )
    output = OutputFile(output_name(input_data.files, kind.suffix), path, kind.media_type)
    return ToolResult((output,), tuple(_notes(root, left_out)))


def _resize(root: Element, options: SvgToImageOptions) -> None:
    """Have the drawing say the size that it gets, once that is known to be sane."""
    width, height = size_of(root)
    scales = [
        wanted / had
        for wanted, had in ((options.width, width), (options.height, height))
        if wanted is not None
    ]
    scale = min(scales) if scales else options.scale
    size = tuple(max(1, round(min(side * scale, SIDE_HOLDS))) for side in (width, height))
    check_size((size[0], size[1]))
    if root.get("viewBox") is None:
        root.set("viewBox", f"0 0 {width:.6f} {height:.6f}")
    root.set("width", str(size[0]))
    root.set("height", str(size[1]))


def _notes(root: Element, left_out: int) -> list[str]:
    notes = []
    if left_out:
        notes.append(f"References to other files that were left out: {left_out}.")
    has_text = next(root.iter(f"{NAMESPACE}text"), None) is not None
    if has_text and not any(Path(folder).is_dir() for folder in FONT_FOLDERS):
        notes.append("There are no fonts here; the text was left out.")
    return notes
