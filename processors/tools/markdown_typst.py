"""Sets Markdown with Typst. Importing this imports markdown-it and typst.

Nothing of the text becomes Typst's own code: every word of it stands in a string.
"""

from processors.tools.base import MIB, CorruptFile, OutputFile, ToolInput, ToolResult
from processors.tools.documents import PDF
from processors.tools.filenames import clean_stem, output_name
from processors.tools.markdown import markdown_of
from processors.tools.markdown_reading import first_heading, parser
from processors.tools.markdown_to_pdf import MarkdownToPdfOptions
from processors.tools.parsing import parsing
from processors.tools.typst_code import TypstCode, quoted

TEXT_BYTES_MAX = 2 * MIB
FOREIGN = ((0x0590, 0x1DFF), (0x2E80, 0x1F2FF), (0x20000, 0x3FFFF))
"""Scripts, such as Arabic and Chinese, that the fonts in Typst do not have."""
MADE_AT = 946_684_800
"""Always the same, so that the same text gives the same bytes."""


def converted(input_data: ToolInput, options: MarkdownToPdfOptions) -> ToolResult:
    """The PDF of the one Markdown."""
    import typst

    notes: list[str] = []
    file = input_data.files[0]
    text = markdown_of(file, options.encoding, TEXT_BYTES_MAX, notes)
    if not text.strip():
        raise CorruptFile("The text is blank.")
    tokens = parser().parse(text)
    code = TypstCode()
    body = code.of(tokens)
    notes += code.notes()
    if any(_is_foreign(character) for character in text):
        notes.append("The text has characters that the fonts lack; they may be missing.")
    title = options.title or first_heading(tokens) or clean_stem(file.filename)
    source: bytes = f"{_preamble(options, title)}{body}".encode(errors="replace")
    input_data.progress(0.3, "read")
    path = input_data.folder / "document.pdf"
    with parsing("The text cannot be set."):
        typst.compile(
            source,  # type: ignore[type-var] # bytes are taken, whatever its stubs say
            output=str(path),
            root=str(input_data.folder),
            package_path=str(input_data.folder),
            package_cache_path=str(input_data.folder),
            ignore_system_fonts=True,
            timestamp=MADE_AT,
        )
    output = OutputFile(output_name(input_data.files, ".pdf"), path, PDF)
    return ToolResult((output,), tuple(notes))


def _preamble(options: MarkdownToPdfOptions, title: str) -> str:
    numbering = '"1"' if options.page_numbers else "none"
    lines = [
        f"#set document(title: {quoted(title)})",
        f'#set page(paper: "{options.paper}", margin: {options.margin}mm, numbering: {numbering})',
        f"#set text(size: {options.font_size}pt)",
        "#set par(justify: true)",
        "#show link: underline",
    ]
    if options.contents:
        lines.append("#outline();")
    return "\n".join(lines) + "\n"


def _is_foreign(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in FOREIGN)
