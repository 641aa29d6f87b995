"""What is seen of a run besides its result: what it wrote and what it used, however it ended.

A run writes to a pipe whose other end the worker holds, so that what was written before the end is
there whatever the end was. What is too much is left out in the middle: the beginning tells how a
run was set up, the end how it went wrong.
"""

import asyncio
import os
from dataclasses import dataclass, field
from typing import Final

WRITTEN_BYTES_MAX: Final = 64 * 1024
HEAD_BYTES_MAX: Final = 16 * 1024
NOTICE_BYTES: Final = 256
TAIL_BYTES_MAX: Final = WRITTEN_BYTES_MAX - HEAD_BYTES_MAX - NOTICE_BYTES
READ_BYTES: Final = 64 * 1024
LAST_READS_MAX: Final = 64
"""A pipe holds 64 KiB unless somebody made it larger; nobody writes to it any more by then."""


class Written:
    """What a run wrote, as far as it is kept."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def __bool__(self) -> bool:
        return bool(self._head)

    def add(self, data: bytes) -> None:
        """Take more; it may be any amount."""
        room = HEAD_BYTES_MAX - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        surplus = len(self._tail) - TAIL_BYTES_MAX
        if surplus > 0:
            del self._tail[:surplus]
            self._left_out += surplus

    def add_line(self, line: str) -> None:
        """Take one line."""
        self.add(f"{line}\n".encode(errors="replace"))

    @property
    def is_cut(self) -> bool:
        """Whether something is left out."""
        return self._left_out > 0

    @property
    def text(self) -> str:
        """All that is kept, and where something is left out, how much."""
        notice = f"\n[{self._left_out} bytes are left out here]\n" if self.is_cut else ""
        parts = self._head, notice.encode(), self._tail
        return b"".join(parts).decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


@dataclass(slots=True)
class Observed:
    """What is seen of one run; its runner fills it in."""

    written: Written = field(default_factory=Written)
    peak_rss_bytes: int | None = None
    """Of all its processes together; None where it ran inside the worker."""
    cpu_seconds: float | None = None


class Overheard:
    """The worker's end of what one run writes; `write_end` is for the run's processes."""

    def __init__(self, written: Written) -> None:
        self._written = written
        self._read_end, self.write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read_end, False)
        self._is_given = False
        asyncio.get_running_loop().add_reader(self._read_end, self._read)

    def given(self) -> None:
        """The run has its end: this process needs that no more."""
        if not self._is_given:
            self._is_given = True
            os.close(self.write_end)

    def close(self) -> None:
        """Read what is left; nothing of the run may be alive any more."""
        self.given()
        asyncio.get_running_loop().remove_reader(self._read_end)
        for _ in range(LAST_READS_MAX):
            if not self._read():
                break
        os.close(self._read_end)

    def _read(self) -> bool:
        try:
            data = os.read(self._read_end, READ_BYTES)
        except BlockingIOError:
            return False
        self._written.add(data)
        if not data:
            # Its end; it would be told again and again.
            asyncio.get_running_loop().remove_reader(self._read_end)
        return bool(data)
