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
from processors.tools.signatures import HEAD_BYTES, has_signature


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
    return has_signature(head, media_type)
