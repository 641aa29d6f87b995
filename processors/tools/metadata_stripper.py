"""Takes out of pictures and documents what tells more than they show."""

from typing import ClassVar, Literal

from processors.tools.base import (
    MIB,
    BaseTool,
    Comparison,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.documents import PDF
from processors.tools.options import option

PICTURES = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff", "image/avif"]
OUTPUT_FORMATS = [*PICTURES, "image/heic", PDF]


class MetadataStripperOptions(ToolOptions):
    """What may stay."""

    orientation: Literal["apply", "keep"] = option(
        "apply",
        title="Orientation",
        description="A photo that is stored turned: turn its pixels upright, which encodes it"
        " anew, or keep the one note which way is up, and every pixel.",
        examples=["keep"],
    )
    keep_profile: bool = option(
        True,
        title="Keep the colour profile",
        description="Without it, colours of a camera or a printer may look different.",
        examples=[False],
    )
    active_content: Literal["keep", "remove"] = option(
        "keep",
        title="Scripts and files in a PDF",
        description="Keep them, and say that they are there, or take them out: scripts, actions"
        " that start programs or send a form, embedded files and films, and forms in XML.",
        examples=["remove"],
    )


class MetadataStripper(BaseTool[MetadataStripperOptions]):
    """What is drawn stays as it is, byte for byte where the format and the wishes allow that."""

    name = "metadata-stripper"
    description = "Takes place, camera, author, comments and thumbnails out of pictures and PDFs."
    version = "1.1.1"
    input_formats: ClassVar[list[str]] = [*OUTPUT_FORMATS, "image/heif"]
    output_formats: ClassVar[list[str]] = OUTPUT_FORMATS
    # As for every tool that decodes a whole picture: a damaged one is found out.
    limits = ToolLimits(memory_bytes=2048 * MIB)
    group = "images"
    modules = ("PIL", "pikepdf", "processors.tools.stripping", "processors.tools.pdf_active")
    compares_with = (
        Comparison(
            "ExifTool",
            "exiftool -all= --icc_profile:all -tagsfromfile @ -orientation in.jpg",
            (
                "ExifTool keeps the pixels and the note which way is up, as `keep` does; by"
                " default this turns the photo.",
                "Pictures behind the first one in the file, such as a depth map, go too.",
                "ExifTool only hides the metadata of a PDF, they can be restored; here the"
                " document is written anew without them.",
                "ExifTool can take out single tags, and knows more than a hundred formats.",
            ),
        ),
    )
    Options = MetadataStripperOptions

    async def process(self, input_data: ToolInput, options: MetadataStripperOptions) -> ToolResult:
        """Strip the one file."""
        from processors.tools.stripping import stripped, stripped_document

        with input_data.files[0].path.open("rb") as stream:
            is_document = stream.read(5) == b"%PDF-"
        return (
            stripped_document(input_data, options)
            if is_document or input_data.files[0].media_type == PDF
            else stripped(input_data, options)
        )
