"""Checks what a tool claims to have made, after it has ended.

An output is a plain file of its own in the run's folder, neither empty nor too large, of a type
that the tool promised and that its first bytes do not contradict. Anything else is BAD_OUTPUT.
"""

import stat
from collections.abc import Sequence
from pathlib import Path

from processors.sandbox.run import CollectedOutput
from processors.tools.base import BadOutput, OutputFile, ToolLimits
from processors.tools.filenames import clean_name

HEAD_BYTES = 64
ZIP = b"PK\x03\x04"
SIGNATURES: dict[str, tuple[tuple[int, bytes], ...]] = {
    "image/jpeg": ((0, b"\xff\xd8\xff"),),
    "image/png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "image/gif": ((0, b"GIF8"),),
    "image/tiff": ((0, b"II*\0"), (0, b"MM\0*")),
    "image/bmp": ((0, b"BM"),),
    "image/webp": ((8, b"WEBP"),),
    "image/avif": ((4, b"ftypavif"), (4, b"ftypavis")),
    "image/vnd.microsoft.icon": ((0, b"\0\0\1\0"),),
    "application/pdf": ((0, b"%PDF-"),),
    "application/zip": ((0, ZIP),),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ((0, ZIP),),
}
"""What the bytes at an offset have to be, one of several ways, where a type has such a mark."""


def collect(
    folder: Path, claims: Sequence[OutputFile], limits: ToolLimits, formats: Sequence[str]
) -> tuple[CollectedOutput, ...]:
    """Check every claimed output; raises BadOutput at the first that is not what it should be."""
    if len(claims) > limits.outputs_max:
        raise BadOutput(f"The tool made {len(claims)} files; {limits.outputs_max} are allowed.")
    if len({claim.name for claim in claims}) != len(claims):
        raise BadOutput("The tool made two files of the same name.")
    outputs = tuple(_collect_one(folder, claim, limits, formats) for claim in claims)
    if sum(output.size_bytes for output in outputs) > limits.outputs_bytes:
        raise BadOutput(f"The tool made more than {limits.outputs_bytes} bytes.")
    return outputs


def _collect_one(
    folder: Path, claim: OutputFile, limits: ToolLimits, formats: Sequence[str]
) -> CollectedOutput:
    if claim.name != clean_name(claim.name):
        raise BadOutput("The tool made a file of a name that is not allowed.")
    if claim.media_type not in formats:
        raise BadOutput(f"The tool made a file of type {claim.media_type[:80]}.")
    path = _path_inside(folder, claim.path)
    size_bytes = _size_of_plain_file(path)
    if not 0 < size_bytes <= limits.file_bytes:
        raise BadOutput(f"The tool made a file of {size_bytes} bytes.")
    if not _looks_like(path, claim.media_type):
        raise BadOutput(f"The tool made a file that is not {claim.media_type}.")
    return CollectedOutput(claim.name, path, claim.media_type, size_bytes)


def _path_inside(folder: Path, claimed: Path) -> Path:
    try:
        path = (folder / claimed).parent.resolve(strict=True) / claimed.name
    except (OSError, ValueError, RuntimeError):
        raise BadOutput("The tool named a file that is not there.") from None
    if not path.is_relative_to(folder.resolve()):
        raise BadOutput("The tool named a file outside its folder.")
    return path


def _size_of_plain_file(path: Path) -> int:
    try:
        status = path.lstat()
    except (OSError, ValueError):
        raise BadOutput("The tool named a file that is not there.") from None
    # A second hard link may be a file from elsewhere on the same disk.
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise BadOutput("The tool named something that is not a plain file.")
    return status.st_size


def _looks_like(path: Path, media_type: str) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    if media_type.startswith("text/") or media_type == "application/json":
        return b"\0" not in head
    marks = SIGNATURES.get(media_type)
    return marks is None or any(head[start:].startswith(mark) for start, mark in marks)
