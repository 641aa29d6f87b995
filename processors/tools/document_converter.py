"""Turns documents into other formats of documents."""

from typing import ClassVar, Literal

from pydantic import Field

from processors.tools.base import (
    MIB,
    BaseTool,
    Comparison,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.document_formats import (
    INPUT_FORMATS,
    MEDIA_TYPES,
    SUFFIXES,
    DocumentFormat,
    converted,
    format_of,
)
from processors.tools.filenames import output_name
from processors.tools.programs import PANDOC


class DocumentConverterOptions(ToolOptions):
    """From which format to which."""

    output_format: DocumentFormat = Field(
        default="docx", title="Output format", description="What is made."
    )
    input_format: Literal["detect"] | DocumentFormat = Field(
        default="detect",
        title="Input format",
        description="By its content and its name; a text that says nothing is Markdown.",
        examples=["rst"],
    )
    contents: bool = Field(
        default=False, title="Contents", description="A table of contents before the text."
    )
    number_sections: bool = Field(
        default=False, title="Numbers", description="Number the headings."
    )


class DocumentConverter(BaseTool[DocumentConverterOptions]):
    """What a paragraph is comes along, not what it looks like."""

    name = "document-converter"
    description = "Converts between Word, OpenDocument, HTML, Markdown, EPUB, RST and LaTeX."
    version = "1.0.2"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = list(MEDIA_TYPES.values())
    limits = ToolLimits(memory_bytes=1536 * MIB, processes_max=4)
    group = "documents"
    programs = (PANDOC,)
    extra = "office"
    compares_with = (
        Comparison(
            "pandoc",
            "pandoc --sandbox --standalone in.md -o out.docx",
            (
                "It is pandoc, without network, included files and filters of one's own.",
                "Raw HTML and TeX and links that run scripts are left out; pandoc keeps them.",
                "Images inside of a document stay in docx, odt, epub and html; texts keep what they"
                " are described by.",
            ),
        ),
    )
    Options = DocumentConverterOptions

    async def process(self, input_data: ToolInput, options: DocumentConverterOptions) -> ToolResult:
        """Convert the one document."""
        file, target = input_data.files[0], options.output_format
        source = format_of(file) if options.input_format == "detect" else options.input_format
        flags = []
        if options.contents:
            flags.append("--toc")
        if options.number_sections:
            flags.append("--number-sections")
        path, notes = await converted(input_data, source, target, flags)
        name = output_name(input_data.files, SUFFIXES[target])
        return ToolResult((OutputFile(name, path, MEDIA_TYPES[target]),), (*notes,))
