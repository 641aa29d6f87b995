"""Tries one file with one tool in the real sandbox, and says in one word what came of it."""

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from infrastructure.media_types import SNIFF_BYTES, MediaTypes
from processors.sandbox.run import ToolRun
from processors.sandbox.runner import Sandbox
from processors.tools.base import DocumentedError, InputFile, ToolProcessingError, accepts
from processors.tools.registry import AnyTool

WORKED: Final = "worked"
UNDOCUMENTED: Final = frozenset({"TOOL_CRASHED", "TOOL_PROCESSING_ERROR", "INTERNAL_ERROR"})
"""Codes that tell an owner nothing: an ending by one of them is a fault of the tool."""

SECONDS_A_FILE: Final = frozenset(
    {
        "audio-converter",
        "document-converter",
        "media-trimmer",
        "ocr",
        "video-converter",
        "video-thumbnailer",
    }
)
"""They load models or start programs for each file."""

OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "metadata-stripper": {"active_content": "remove"},
    "pdf-compressor": {"images": "recompress"},
    "pdf-encrypter": {"user_password": "correct horse"},
}
"""What a tool needs to do anything, or to do most of what it can; the others need nothing."""
OPENERS: Final = frozenset({"archive-extractor", "archive-lister", "pdf-decrypter"})
"""They take the password of a file."""


def documented() -> frozenset[str]:
    """The codes that stand in a class with their meaning."""
    return frozenset(_codes(DocumentedError)) - UNDOCUMENTED


def _codes(kind: type[DocumentedError]) -> Iterable[str]:
    for each in kind.__subclasses__():
        yield each.CODE
        yield from _codes(each)


@dataclass
class Results:
    """What became of all trials, tool by tool."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def note(self, tool: str, file: str, ending: str) -> None:
        """Take note of one trial."""
        self.counts.setdefault(tool, Counter())[ending] += 1
        if ending != WORKED and ending not in documented():
            self.faults.append(f"{tool} on {file}: {ending}")

    @property
    def never_run(self) -> list[str]:
        """The tools that refused every file for want of an option, so that they were not tried."""
        return [tool for tool, counts in self.counts.items() if set(counts) == {"INVALID_OPTIONS"}]

    @property
    def total(self) -> int:
        """How many trials there were."""
        return sum(sum(counts.values()) for counts in self.counts.values())

    def table(self) -> str:
        """A line for each tool: how many files worked, and how many ended by which code."""
        lines = []
        for tool, counts in sorted(self.counts.items()):
            codes = ", ".join(f"{c} {n}" for c, n in counts.most_common() if c != WORKED)
            lines.append(f"{tool:22} {counts[WORKED]:5} of {sum(counts.values()):5}  {codes}")
        return "\n".join(lines)


class Trials:
    """Tries files with the tools of a sandbox."""

    def __init__(self, sandbox: Sandbox, root: Path) -> None:
        self._sandbox = sandbox
        self._root = root
        self._media_types = MediaTypes()

    def media_type(self, content: bytes) -> str:
        """What a file is, as an upload would be told."""
        return self._media_types.of(content[:SNIFF_BYTES])

    def takes(self, tool: AnyTool, media_type: str) -> bool:
        """Whether one such file is a valid request."""
        limits = tool.limits
        fits = limits.inputs_min <= 1 <= limits.inputs_max
        return fits and accepts(tool.input_formats, media_type)

    async def ending(
        self, tool: AnyTool, name: str, content: bytes, password: str | None = None
    ) -> str:
        """Run the tool on the file; returns `worked` or the code."""
        options = OPTIONS.get(tool.name, {})
        if password is not None and tool.name in OPENERS:
            options = {**options, "password": password}
        folder = Path(tempfile.mkdtemp(dir=self._root))
        try:
            path = folder / "input"
            path.write_bytes(content)
            work = folder / "work"
            work.mkdir()
            given = self._input(path, name, content)
            run = ToolRun(tool.name, options, (given,), work, tool.limits)
            await self._sandbox.run(run, lambda *_: None)
        except ToolProcessingError as error:
            return error.code
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return WORKED

    def _input(self, path: Path, name: str, content: bytes) -> InputFile:
        return InputFile(
            path,
            name,
            self.media_type(content),
            len(content),
            hashlib.sha256(content).hexdigest(),
        )
