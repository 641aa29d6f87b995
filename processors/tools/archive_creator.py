"""Puts files into one archive."""

from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from processors.tools.archives import MEDIA_TYPES, ArchiveKind
from processors.tools.base import (
    BaseTool,
    Comparison,
    InvalidOptions,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.filenames import clean_name, clean_stem, unique_name

CreatedFormat = Literal["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "7z"]
KINDS: dict[CreatedFormat, ArchiveKind] = {
    "zip": "zip",
    "tar": "tar",
    "tar.gz": "gz",
    "tar.bz2": "bz2",
    "tar.xz": "xz",
    "tar.zst": "zst",
    "7z": "7z",
}
ENCRYPTING = frozenset({"zip", "7z"})


class ArchiveCreatorOptions(ToolOptions):
    """Which archive."""

    output_format: CreatedFormat = Field(
        default="zip",
        title="Output format",
        description="7z, tar.zst and a ZIP with a password need the extra `archive`.",
        examples=["tar.gz"],
    )
    level: int = Field(
        default=6,
        ge=1,
        le=9,
        title="Level",
        description="Of the compression: 1 is the fastest, 9 gives the smallest archive.",
        examples=[9],
        json_schema_extra={"unit": ""},
    )
    password: SecretStr | None = Field(
        default=None,
        min_length=1,
        max_length=1_000,
        title="Password",
        description="Encrypt a ZIP or 7z with AES-256; the names in a ZIP stay readable.",
        examples=["correct horse"],
    )


class ArchiveCreator(BaseTool[ArchiveCreatorOptions]):
    """The same files give the same archive: no times, no owners; a password brings salt."""

    name = "archive-creator"
    description = "Puts files into a ZIP, 7z or tar archive."
    version = "1.0.0"
    group = "archives"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = [MEDIA_TYPES[kind] for kind in KINDS.values()]
    limits = ToolLimits(inputs_max=50)
    modules = ("processors.tools.archive_writing",)
    compares_with = (
        Comparison(
            "7-Zip",
            "7z a archive.zip a.txt b.txt",
            (
                "The same files give the same bytes; 7z notes times, so that no two are the same.",
                "There are no folders: every input is one file with a name that fits any system.",
                "7z can add to an archive that is there; this makes a new one.",
            ),
        ),
    )
    Options = ArchiveCreatorOptions

    async def validate(self, input_data: ToolInput, options: ArchiveCreatorOptions) -> bool:
        """Take any files, empty ones too."""
        if options.password is not None and options.output_format not in ENCRYPTING:
            raise InvalidOptions(
                f"password: a {options.output_format} cannot be encrypted.", field="password"
            )
        return True

    async def process(self, input_data: ToolInput, options: ArchiveCreatorOptions) -> ToolResult:
        """Pack all files."""
        from processors.tools.archive_writing import write

        taken: set[str] = set()
        names = [unique_name(clean_name(file.filename), taken) for file in input_data.files]
        path = input_data.folder / "archive"
        write(path, input_data, names, options.output_format, options.level, options.password)
        files = input_data.files
        stem = clean_stem(files[0].filename) if len(files) == 1 else "archive"
        kind = MEDIA_TYPES[KINDS[options.output_format]]
        renamed = sum(name != file.filename for name, file in zip(names, files, strict=True))
        notes = (f"Files whose name had to change: {renamed}.",) if renamed else ()
        output = OutputFile(f"{stem}.{options.output_format}", path, kind)
        return ToolResult((output,), notes)
