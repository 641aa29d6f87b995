"""Runs pandoc on the documents of strangers: which formats there are, and what is left out.

pandoc is told to read nothing but the one file. What a document could do to its next reader, such
as raw HTML, is left out on the way.
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

from processors.tools.base import (
    MIB,
    CorruptFile,
    DocumentedError,
    InputFile,
    ResourceLimitExceeded,
    ToolInput,
)
from processors.tools.filenames import clean_stem
from processors.tools.markdown import markdown_of
from processors.tools.markdown_heads import check_heads
from processors.tools.office_files import DOCX, EPUB, ODT, check_office_file
from processors.tools.programs import PANDOC, ProgramFailed, run_program

DocumentFormat = Literal["docx", "odt", "html", "markdown", "epub", "rst", "latex"]
MEDIA_TYPES: dict[DocumentFormat, str] = {
    "docx": DOCX,
    "odt": ODT,
    "html": "text/html",
    "markdown": "text/markdown",
    "epub": EPUB,
    "rst": "text/x-rst",
    "latex": "text/x-tex",
}
SUFFIXES: dict[DocumentFormat, str] = {
    "docx": ".docx",
    "odt": ".odt",
    "html": ".html",
    "markdown": ".md",
    "epub": ".epub",
    "rst": ".rst",
    "latex": ".tex",
}
INPUT_FORMATS: list[str] = [DOCX, ODT, EPUB, "application/zip", "text/*"]
PARTS: dict[DocumentFormat, str] = {
    "docx": "word/document.xml",
    "odt": "content.xml",
    "epub": "META-INF/container.xml",
}
"""What is in every document of the formats that are archives."""
BY_SUFFIX: dict[str, DocumentFormat] = {
    **{suffix: kind for kind, suffix in SUFFIXES.items()},
    **{".markdown": "markdown", ".htm": "html", ".rest": "rst", ".latex": "latex"},
}
WRITERS: dict[DocumentFormat, tuple[str, ...]] = {
    "html": ("--to=html5", "--embed-resources"),
    "epub": ("--to=epub3",),
    "markdown": ("--to=gfm",),
}
TEXT_BYTES_MAX = 5 * MIB
OUT_OF_MEMORY_STATUS = 251
WARNING = "[WARNING]"
FILTER = """
local kept = {title = true, subtitle = true, author = true, date = true, lang = true,
  abstract = true, keywords = true, pagetitle = true, identifier = true}
local texts = {gfm = true, rst = true, latex = true}
local function left_out() pandoc.log.warn("left out") return {} end
local function without_script(link)
  local target = link.target:gsub("[%s%c]", ""):lower()
  if target:match("^javascript:") or target:match("^vbscript:") or target:match("^data:") then
    pandoc.log.warn("left out")
    return link.content
  end
end
local function named(image)
  if texts[FORMAT] and pandoc.mediabag.lookup(image.src) then
    pandoc.log.warn("left out")
    return image.caption
  end
end
local function without_files(meta)
  if not meta.title and not meta.pagetitle then meta.pagetitle = meta.filetitle end
  for key in pairs(meta) do if not kept[key] then meta[key] = nil end end
  return meta
end
return {{Meta = without_files},
  {RawBlock = left_out, RawInline = left_out, Link = without_script, Image = named}}
"""
"""Leaves out raw HTML and TeX, links that run scripts, what a document says of other files, and in
texts the images that were inside of the document: their descriptions stay."""


class NotConverted(DocumentedError):
    """The document could not be converted."""

    CODE = "NOT_CONVERTED"


def format_of(file: InputFile) -> DocumentFormat:
    """The format of a document: by its content, and where that is only text by its name."""
    for kind, media_type in MEDIA_TYPES.items():
        if file.media_type == media_type and kind != "html":
            return kind
    suffix = f".{file.filename.lower().rpartition('.')[2]}"
    if file.media_type == "application/zip":
        return BY_SUFFIX.get(suffix, "docx")
    named = BY_SUFFIX.get(suffix)
    if named is not None and named not in PARTS:
        return named
    return "html" if file.media_type == "text/html" else "markdown"


async def converted(
    input_data: ToolInput, source: DocumentFormat, target: DocumentFormat, flags: Sequence[str]
) -> tuple[Path, list[str]]:
    """Convert the one file; gives the path of the output, and notes."""
    notes: list[str] = []
    file, folder = input_data.files[0], input_data.folder
    path = folder / "document"
    arguments: list[str | Path] = ["--sandbox", "--standalone", f"--from={source}"]
    arguments += [*WRITERS.get(target, (f"--to={target}",)), *flags]
    arguments += ["--lua-filter", _written(folder / "filter.lua", FILTER)]
    arguments += ["--metadata-file", _written(folder / "metadata.json", _metadata(file, target))]
    arguments += ["--output", path, _readable(input_data, source, notes)]
    lines: list[str] = []
    try:
        await run_program(PANDOC, arguments, input_data, on_line=lines.append, lines_of="stderr")
    except ProgramFailed as error:
        raise _explained(error) from None
    if missing := sum(line.startswith(WARNING) for line in lines):
        notes.append(f"Left out or not found, such as raw HTML and images: {missing}.")
    return path, notes


def _readable(input_data: ToolInput, source: DocumentFormat, notes: list[str]) -> Path:
    """The path of what pandoc can read: checked, and if it is text in UTF-8."""
    file = input_data.files[0]
    if part := PARTS.get(source):
        check_office_file(file, part)
        return file.path
    text = markdown_of(file, "detect", TEXT_BYTES_MAX, notes)
    if source == "markdown":
        check_heads(text)
    return _written(input_data.folder / "text", text)


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _metadata(file: InputFile, target: DocumentFormat) -> str:
    """What stands in for what the document does not say of itself."""
    title = clean_stem(file.filename)
    if target == "html":
        return json.dumps({"filetitle": title})
    if target == "epub":
        digest = sha256(file.path.read_bytes()).hexdigest()
        return json.dumps({"title": title, "identifier": uuid5(NAMESPACE_URL, digest).urn})
    return "{}"


def _explained(error: ProgramFailed) -> DocumentedError:
    """What it means for the owner that pandoc failed; what it printed is not passed on."""
    if error.status == OUT_OF_MEMORY_STATUS or "heap" in error.printed:
        return ResourceLimitExceeded()
    if "couldn't" in error.printed or "arse" in error.printed:
        return CorruptFile("The document cannot be parsed.", stack=error.stack)
    return NotConverted(stack=error.stack)
