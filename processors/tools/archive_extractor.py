"""Takes the files out of an archive."""

import fnmatch
from typing import IO, ClassVar

from pydantic import Field, SecretStr

from processors.tools.archive_media_types import OCTETS, OUTPUT_FORMATS, media_type_of
from processors.tools.archives import INPUT_FORMATS, EmptyArchive, Entry, TooManyEntries
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
from processors.tools.filenames import clean_name, unique_name
from processors.tools.signatures import HEAD_BYTES, has_signature

OUTPUTS_MAX = 500
BLOCK_BYTES = MIB


class ArchiveExtractorOptions(ToolOptions):
    """What to take out, and how to get in."""

    pattern: str = Field(
        default="*",
        min_length=1,
        max_length=200,
        title="Pattern",
        description="Which files, by their path in the archive: * stands for any characters,"
        " ? for one.",
        examples=["*.csv"],
    )
    password: SecretStr | None = Field(
        default=None,
        max_length=1_000,
        title="Password",
        description="Of an encrypted archive.",
        examples=["correct horse"],
    )


class ArchiveExtractor(BaseTool[ArchiveExtractorOptions]):
    """Each file becomes an output; folders become part of its name."""

    name = "archive-extractor"
    description = (
        "Takes the files out of a ZIP, 7z or tar archive, or out of gzip, bzip2, xz, zstd."
    )
    version = "1.1.0"
    opens_encrypted = True
    group = "archives"
    input_formats: ClassVar[list[str]] = INPUT_FORMATS
    output_formats: ClassVar[list[str]] = OUTPUT_FORMATS
    limits = ToolLimits(outputs_bytes=512 * MIB, outputs_max=OUTPUTS_MAX)
    modules = ("processors.tools.archive_reading",)
    compares_with = (
        Comparison(
            "7-Zip",
            "7z x archive.zip",
            (
                "An archive with a link, a device or a path that leads outside is refused whole.",
                "Bombs are ended by the bytes that come out; 7z unpacks until the disk is full.",
                "Folders become part of the names, because outputs have no folders.",
                "Empty files are left out and counted.",
                "7z does not scan for viruses. Where a scanner is set up, it looks into an archive"
                " that is sent; into encrypted files it cannot look, so they are counted, and"
                " scanned as soon as the password has opened them.",
            ),
        ),
    )
    Options = ArchiveExtractorOptions

    async def process(self, input_data: ToolInput, options: ArchiveExtractorOptions) -> ToolResult:
        """Unpack what the pattern names."""
        from processors.tools.archive_reading import opened

        extraction = _Extraction(input_data, options.pattern)
        with opened(input_data, options.password) as archive:
            archive.unpack(extraction.take)
        return extraction.result()


class _Extraction:
    """What was taken out so far."""

    def __init__(self, input_data: ToolInput, pattern: str) -> None:
        self._input = input_data
        self._pattern = pattern
        self._outputs: list[OutputFile] = []
        self._taken: set[str] = set()
        self._empty = self._renamed = self._encrypted = 0

    def take(self, entry: Entry, content: IO[bytes]) -> None:
        """Write one file, if it is wanted."""
        path_inside = entry.name.replace("\\", "/").removeprefix("./")
        if not fnmatch.fnmatchcase(path_inside, self._pattern):
            return
        if len(self._outputs) >= OUTPUTS_MAX:
            raise TooManyEntries(
                f"More than {OUTPUTS_MAX} files would come out; a pattern can name some of them."
            )
        path = self._input.folder / str(len(self._outputs))
        head = content.read(BLOCK_BYTES)
        if not head:
            # An output of no bytes would be taken for a failure.
            self._empty += 1
            return
        with path.open("wb") as stream:
            stream.write(head)
            while block := content.read(BLOCK_BYTES):
                stream.write(block)
        name = self._name(path_inside)
        kind = media_type_of(name)
        self._encrypted += entry.is_encrypted
        fits = has_signature(head[:HEAD_BYTES], kind)
        self._outputs.append(OutputFile(name, path, kind if fits else OCTETS))
        self._input.progress(0.5, f"{len(self._outputs)} files")

    def _name(self, path: str) -> str:
        flat = clean_name("_".join(part for part in path.split("/") if part not in ("", ".")))
        name = unique_name(flat, self._taken)
        self._renamed += name != path
        return name

    def result(self) -> ToolResult:
        """The outputs, and what became of the rest."""
        if not self._outputs and not self._empty and self._pattern != "*":
            raise EmptyArchive("No file of the archive fits the pattern.")
        if not self._outputs:
            raise EmptyArchive
        notes = []
        if self._empty:
            notes.append(f"Files that are empty and were left out: {self._empty}.")
        if self._renamed:
            notes.append(f"Files whose folder or name had to change: {self._renamed}.")
        if self._encrypted:
            notes.append(
                "Files that were encrypted, so that no virus scanner saw them when they were"
                f" sent: {self._encrypted}."
            )
        return ToolResult(tuple(self._outputs), tuple(notes))
