"""A tool whose library aborts its process where it gets no memory."""

from typing import ClassVar

from processors.tools.base import BaseTool, OutputFile, ToolInput, ToolOptions
from processors.tools.no_op import NoOp
from processors.tools.registry import Registry


class RawSvg(BaseTool[ToolOptions]):
    """Draws an SVG without a look at its size, as the library would have it."""

    name = "raw-svg"
    description = "For tests."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = ["image/png"]
    Options = ToolOptions

    async def process(self, input_data: ToolInput, options: ToolOptions) -> list[OutputFile]:
        """Ask for terabytes."""
        import resvg_py

        content = resvg_py.svg_to_bytes(svg_path=str(input_data.files[0].path))
        path = input_data.folder / "a.png"
        path.write_bytes(content)
        return [OutputFile("a.png", path, "image/png")]


def registry() -> Registry:
    return Registry([NoOp, RawSvg])
