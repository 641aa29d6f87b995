"""A stream that is read forwards only, and whose bytes are counted."""

import io
import tarfile
from typing import IO

from processors.tools.archives import Meter, is_tar_header
from processors.tools.base import MIB

BLOCK_BYTES = MIB


class Metered:
    """Reads another stream; `last` is what the last read gave."""

    def __init__(self, stream: IO[bytes], meter: Meter) -> None:
        self._stream = stream
        self._meter = meter
        self._ahead = b""
        self._place = 0
        self.last = b""

    def begins_like_a_tar(self) -> bool:
        """Whether its first block is that of a tar archive; nothing is lost by asking."""
        self._ahead = self._fetch(tarfile.BLOCKSIZE)
        return is_tar_header(self._ahead)

    def read(self, size: int = -1) -> bytes:
        """The next bytes, as many as are wanted unless the end comes first."""
        wanted = BLOCK_BYTES if size < 0 else size
        taken, self._ahead = self._ahead[:wanted], self._ahead[wanted:]
        self.last = taken + (self._fetch(wanted - len(taken)) if len(taken) < wanted else b"")
        self._place += len(self.last)
        return self.last

    def tell(self) -> int:
        """How many bytes were read."""
        return self._place

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """Go on to a place; there is no way back."""
        if whence != io.SEEK_SET or place < self._place:
            raise io.UnsupportedOperation("this stream is read forwards")
        while self._place < place and self.read(min(BLOCK_BYTES, place - self._place)):
            pass
        return self._place

    def drain(self) -> int:
        """Read to the end; returns how many bytes there were in all."""
        while self.read(BLOCK_BYTES):
            pass
        return self._place

    def _fetch(self, size: int) -> bytes:
        content = bytearray()
        while len(content) < size and (part := self._stream.read(size - len(content))):
            self._meter.count(len(part))
            content += part
        return bytes(content)
