"""Computes checksums of files, in the format that the coreutils can verify."""

import asyncio
import hashlib
import json
import threading
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from processors.tools.base import (
    MIB,
    BaseTool,
    Comparison,
    InputFile,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
)
from processors.tools.filenames import clean_name, clean_stem

BLOCK_BYTES = MIB

Algorithm = Literal["sha256", "sha512", "sha1", "md5", "blake2b"]


class ChecksumOptions(ToolOptions):
    """Which checksum, and how it is written."""

    algorithm: Algorithm = Field(
        default="sha256",
        title="Algorithm",
        description="sha1 and md5 only tell accidents, not forgeries.",
    )
    output_format: Literal["text", "json"] = Field(
        default="text",
        title="Output format",
        description="text can be verified with `sha256sum --check` and its like.",
    )


class Checksum(BaseTool[ChecksumOptions]):
    """Reads bytes and understands none of them, so it is trusted."""

    name = "checksum"
    description = "Computes the SHA-256, SHA-512, SHA-1, MD5 or BLAKE2b checksum of files."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = ["text/plain", "application/json"]
    limits = ToolLimits(memory_bytes=256 * MIB, inputs_max=50)
    trusted = True
    compares_with = (
        Comparison(
            program="GNU coreutils",
            command="sha256sum file",
            differs=(
                "One job computes one kind for all of its files and writes the same lines.",
                "coreutils can also check a list, which `sha256sum -c` does with ours.",
            ),
        ),
    )
    Options = ChecksumOptions

    async def validate(self, input_data: ToolInput, options: ChecksumOptions) -> bool:
        """Take any file; an empty one has a checksum too."""
        return True

    async def process(self, input_data: ToolInput, options: ChecksumOptions) -> list[OutputFile]:
        """Compute all checksums in a thread, which ends when this is cancelled."""
        stopped = threading.Event()
        try:
            digests = await asyncio.to_thread(_digests, input_data, options.algorithm, stopped)
        finally:
            stopped.set()
        is_json = options.output_format == "json"
        text = (_as_json if is_json else _as_text)(input_data.files, digests, options.algorithm)
        name = _output_name(input_data.files, options)
        return [_written(input_data.folder / "checksums", name, text, is_json)]


def _digests(input_data: ToolInput, algorithm: Algorithm, stopped: threading.Event) -> list[str]:
    total = sum(file.size_bytes for file in input_data.files) or 1
    done = 0
    digests = []
    for file in input_data.files:
        digest = hashlib.new(algorithm, usedforsecurity=False)
        with file.path.open("rb") as stream:
            while not stopped.is_set() and (block := stream.read(BLOCK_BYTES)):
                digest.update(block)
                done += len(block)
                input_data.progress(min(done / total, 1.0), "hashing")
        digests.append(digest.hexdigest())
    return digests


def _as_text(files: tuple[InputFile, ...], digests: list[str], _: Algorithm) -> str:
    pairs = zip(digests, files, strict=True)
    return "".join(f"{digest}  {clean_name(file.filename)}\n" for digest, file in pairs)


def _as_json(files: tuple[InputFile, ...], digests: list[str], algorithm: Algorithm) -> str:
    entries = [
        {"name": clean_name(file.filename), "size_bytes": file.size_bytes, "digest": digest}
        for digest, file in zip(digests, files, strict=True)
    ]
    return json.dumps({"algorithm": algorithm, "files": entries}, indent=2) + "\n"


def _output_name(files: tuple[InputFile, ...], options: ChecksumOptions) -> str:
    stem = clean_stem(f"{clean_name(files[0].filename)}.x") if len(files) == 1 else "checksums"
    return f"{stem}.{options.algorithm}" + (".json" if options.output_format == "json" else "")


def _written(path: Path, name: str, text: str, is_json: bool) -> OutputFile:
    path.write_text(text, encoding="utf-8")
    return OutputFile(name, path, "application/json" if is_json else "text/plain")
