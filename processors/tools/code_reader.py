"""Reads QR codes and barcodes off pictures."""

import json
from typing import Any, ClassVar, Literal

from pydantic import Field

from processors.tools.base import (
    MIB,
    BaseTool,
    Comparison,
    DimensionsTooLarge,
    DocumentedError,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.filenames import output_name
from processors.tools.picture_formats import INPUT_FORMATS

CODES_MAX = 1_000

SIDE_MAX = 65_535
"""The library takes no picture that is wider or higher."""


class NoCode(DocumentedError):
    """No code was found in the picture."""

    CODE = "NO_CODE"


class CodeReaderOptions(ToolOptions):
    """How the findings are written, and how hard to look."""

    output_format: Literal["json", "text"] = Field(
        default="json",
        title="Output format",
        description="JSON with kind and place of each code, or only what they say, one a line.",
        examples=["text"],
    )
    thorough: bool = Field(
        default=True,
        title="Thorough",
        description="Also look for codes that are turned, small, or light on dark.",
        examples=[False],
    )


class CodeReader(BaseTool[CodeReaderOptions]):
    """All codes of a picture, in the order in which they are found."""

    name = "code-reader"
    description = "Reads QR codes, Data Matrix, EAN, Code 128 and other barcodes off a picture."
    version = "1.0.0"
    group = "codes"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = ["application/json", "text/plain"]
    limits = ToolLimits(memory_bytes=1536 * MIB)
    modules = ("zxingcpp", "processors.tools.pixels")
    extra = "codes"
    compares_with = (
        Comparison(
            "zbar",
            "zbarimg --raw in.png",
            (
                "Data Matrix, PDF417, Aztec and MaxiCode are read too, which zbar does not know.",
                "The picture is turned by its EXIF data first, so places are those on the screen.",
                "zbarimg can also read from a camera.",
            ),
        ),
    )
    Options = CodeReaderOptions

    async def process(self, input_data: ToolInput, options: CodeReaderOptions) -> ToolResult:
        """Read all codes of the first frame."""
        codes = _found(input_data, thorough=options.thorough)
        if not codes:
            raise NoCode
        path = input_data.folder / "codes"
        if options.output_format == "json":
            path.write_text(json.dumps({"codes": codes}, indent=2, ensure_ascii=False) + "\n")
            kind, suffix = "application/json", ".json"
        else:
            path.write_text("".join(f"{code['text']}\n" for code in codes))
            kind, suffix = "text/plain", ".txt"
        return ToolResult((OutputFile(output_name(input_data.files, suffix), path, kind),))


def _found(input_data: ToolInput, *, thorough: bool) -> list[dict[str, Any]]:
    import zxingcpp

    from processors.tools.pixels import in_plain_colours, opened, read

    with opened(input_data.files[0]) as source:
        picture = read(source, all_frames=False)
    frame = in_plain_colours(picture.frames[0], picture.profile, sixteen_bits=False)
    if frame.mode == "RGBA":
        # A code on nothing is meant to be seen on paper.
        paper = frame.copy()
        paper.paste((255, 255, 255, 255), (0, 0, *frame.size))
        paper.alpha_composite(frame)
        frame = paper
    if max(frame.size) > SIDE_MAX:
        raise DimensionsTooLarge
    codes = zxingcpp.read_barcodes(
        frame.convert("L"), try_rotate=thorough, try_downscale=thorough, try_invert=thorough
    )
    return [_told(code) for code in codes[:CODES_MAX]]


def _told(code: Any) -> dict[str, Any]:
    place = code.position
    corners = (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
    return {
        "text": code.text.encode(errors="replace").decode(),
        "symbology": str(code.format),
        "content": code.content_type.name,
        "corners": [[corner.x, corner.y] for corner in corners],
        "turned_degrees": code.orientation,
    }
