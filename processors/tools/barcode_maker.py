"""Draws barcodes of many kinds."""

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
Symbology = Literal[
    "code128",
    "code39",
    "code93",
    "codabar",
    "itf",
    "ean13",
    "ean8",
    "upca",
    "upce",
    "datamatrix",
    "pdf417",
    "aztec",
    "qrcode",
]


class BarcodeMakerOptions(CodeOptions):
    """What the code says and how it looks."""

    symbology: Symbology = Field(
        default="code128",
        title="Symbology",
        description="The kind of the code; the EAN and UPC ones take digits only and add the check"
        " digit if it is missing.",
        examples=["ean13"],
    )
    output_format: Literal["png", "svg"] = Field(
        default="png", title="Output format", description="Pixels or lines.", examples=["svg"]
    )
    scale: int = Field(
        default=3,
        ge=1,
        le=20,
        title="Scale",
        description="The width of the thinnest line.",
        examples=[4],
        json_schema_extra={"unit": "pixels"},
    )
    show_text: bool = Field(
        default=True,
        title="Show the text",
        description="Also print what a code of lines says under it.",
        examples=[False],
    )


class BarcodeMaker(BaseTool[BarcodeMakerOptions]):
    """The text comes as a file or as an option."""

    name = "barcode-maker"
    description = "Draws a Code 128, EAN, UPC, Data Matrix, PDF417, Aztec or other barcode."
    version = "1.0.1"
    group = "codes"
    input_formats: ClassVar[list[str]] = ["text/*", "application/json"]
    output_formats: ClassVar[list[str]] = list(MEDIA_TYPES.values())
    limits = ToolLimits(memory_bytes=512 * MIB, inputs_min=0)
    modules = ("PIL", "zxingcpp")
    extra = "codes"
    compares_with = (
        Comparison(
            "Zint",
            "zint -b CODE128 -d 'HELLO' -o out.png",
            (
                "Zint knows more than 50 symbologies; here are those that code-reader reads back.",
                "A wrong check digit is refused by both.",
            ),
        ),
    )
    Options = BarcodeMakerOptions

    async def process(self, input_data: ToolInput, options: BarcodeMakerOptions) -> ToolResult:
        """Draw the code."""
        import zxingcpp
        from PIL import Image

        text = text_of(input_data, options)
        try:
            code = zxingcpp.create_barcode(
                text,
                zxingcpp.barcode_format_from_str(options.symbology),
                # A Data Matrix may be oblong in ways that many readers do not know.
                force_square=True,
            )
        except ValueError as error:
            # Such as "Error 340: Input length 5000 too long (maximum 256) (retval: 5)".
            reason = str(error).partition(": ")[2].partition(" (retval")[0]
            raise does_not_fit(
                input_data, f"{options.symbology} cannot hold this. {reason}."
            ) from None
        path = input_data.folder / "code"
        scale, shows = options.scale, options.show_text
        if options.output_format == "svg":
            path.write_text(code.to_svg(scale=scale, add_hrt=shows), "utf-8")
        else:
            pixels = code.to_image(scale=scale, add_hrt=shows)
            Image.fromarray(pixels).save(path, "PNG", optimize=True)
        name = code_name(input_data, options.symbology, f".{options.output_format}")
        return ToolResult((OutputFile(name, path, MEDIA_TYPES[options.output_format]),))
