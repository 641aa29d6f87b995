"""Draws a QR code."""

from typing import ClassVar, Literal

from pydantic import Field

from processors.tools.base import (
    MIB,
    BaseTool,
    Comparison,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolResult,
)
from processors.tools.code_text import CodeOptions, code_name, does_not_fit, text_of

MEDIA_TYPES: dict[str, str] = {"png": "image/png", "svg": "image/svg+xml"}
LEVELS = {"low": "l", "medium": "m", "quartile": "q", "high": "h"}
COLOUR = r"^#[0-9A-Fa-f]{6}$"


class QrMakerOptions(CodeOptions):
    """What the code says and how it looks."""

    output_format: Literal["png", "svg"] = Field(
        default="png", title="Output format", description="Pixels or lines.", examples=["svg"]
    )
    error_correction: Literal["low", "medium", "quartile", "high"] = Field(
        default="medium",
        title="Error correction",
        description="How much may be dirty or torn: about 7, 15, 25 or 30 percent. It is raised"
        " where that makes the code no larger.",
        examples=["high"],
    )
    scale: int = Field(
        default=8,
        ge=1,
        le=40,
        title="Scale",
        description="The side of each small square.",
        examples=[12],
        json_schema_extra={"unit": "pixels"},
    )
    border: int = Field(
        default=4,
        ge=0,
        le=20,
        title="Border",
        description="The quiet zone around the code; the standard asks for 4.",
        examples=[2],
        json_schema_extra={"unit": "squares"},
    )
    dark: str = Field(
        default="#000000",
        pattern=COLOUR,
        title="Dark colour",
        description="Of the squares.",
        examples=["#1a237e"],
    )
    light: str = Field(
        default="#ffffff",
        pattern=COLOUR,
        title="Light colour",
        description="Of the ground.",
        examples=["#fffde7"],
    )


class QrMaker(BaseTool[QrMakerOptions]):
    """The text comes as a file or as an option."""

    name = "qr-maker"
    description = "Draws a QR code from a text file, or from the text in its options."
    version = "1.0.1"
    group = "codes"
    input_formats: ClassVar[list[str]] = ["text/*", "application/json"]
    output_formats: ClassVar[list[str]] = list(MEDIA_TYPES.values())
    limits = ToolLimits(memory_bytes=256 * MIB, inputs_min=0)
    modules = ("segno",)
    compares_with = (
        Comparison(
            "qrencode",
            "qrencode -l M -s 8 -m 4 -r in.txt -o out.png",
            (
                "The correction is raised where the code stays as large; qrencode keeps the level.",
                "qrencode takes a line break at the end of a file for a part of the text.",
                "A text beyond ASCII says that it is UTF-8; qrencode leaves that to be guessed.",
                "qrencode can also make Micro QR codes and draw them in a terminal.",
            ),
        ),
    )
    Options = QrMakerOptions

    async def process(self, input_data: ToolInput, options: QrMakerOptions) -> ToolResult:
        """Draw the code."""
        import segno

        text = text_of(input_data, options)
        try:
            code = segno.make(
                text,
                error=LEVELS[options.error_correction],
                # Where the code does not say how it is encoded, readers guess, each otherwise.
                encoding=None if text.isascii() else "utf-8",
                eci=not text.isascii(),
                micro=False,
            )
        except segno.DataOverflowError:
            raise does_not_fit(
                input_data, "a QR code with this error correction cannot hold so much."
            ) from None
        path = input_data.folder / "code"
        code.save(
            str(path),
            kind=options.output_format,
            scale=options.scale,
            border=options.border,
            dark=options.dark,
            light=options.light,
        )
        name = code_name(input_data, "qr-code", f".{options.output_format}")
        output = OutputFile(name, path, MEDIA_TYPES[options.output_format])
        return ToolResult((output,), (f"Version {code.version}, level {code.error}.",))
