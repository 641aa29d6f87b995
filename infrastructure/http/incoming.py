"""One file on its way in: written, hashed, counted, sniffed and scanned in a single pass.

It becomes a blob only when its bytes were counted within the limit, were not empty, and the scanner
had nothing against them; otherwise nothing of it remains.
"""

from dataclasses import dataclass

from infrastructure import metrics
from infrastructure.blobs.base import BlobKey, BlobWriter, InsufficientStorage
from infrastructure.filenames import clean_filename
from infrastructure.http.body_guard import too_large
from infrastructure.http.problems import Problem
from infrastructure.media_types import SNIFF_BYTES, MediaTypes
from infrastructure.scanner import Finding, Kind, Scan, ScannerUnavailable, Verdict

RETRY_AFTER_SECONDS = "10"

REFUSALS = {
    Finding.LIMITS: "The file is too nested to be scanned.",
    Finding.ENCRYPTED: "The file is encrypted and cannot be scanned.",
}


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that is now a blob; `filename` is cleaned and for display only."""

    field: str
    filename: str
    media_type: str
    size_bytes: int
    sha256: str
    blob_key: BlobKey


class Budget:
    """How many bytes the files of one request may still have together."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self._left = bytes_max

    def spend(self, count: int) -> None:
        """Take bytes; raises Problem 413 when there are none left."""
        self._left -= count
        metrics.UPLOAD_BYTES.inc(count)
        if self._left < 0:
            raise too_large(self.bytes_max, "FILE_TOO_LARGE")


class IncomingFile:
    """Takes the bytes of one file and becomes a ReceivedFile."""

    def __init__(
        self,
        field: str,
        filename: str | None,
        writer: BlobWriter,
        scan: Scan,
        media_types: MediaTypes,
        budget: Budget,
    ) -> None:
        self._field = field
        self._filename = clean_filename(filename)
        self._writer = writer
        self._scan = scan
        self._media_types = media_types
        self._budget = budget
        self._head = bytearray()
        self._size = 0

    async def write(self, chunk: bytes) -> None:
        """Take more bytes; raises Problem."""
        self._budget.spend(len(chunk))
        self._size += len(chunk)
        if len(self._head) < SNIFF_BYTES:
            self._head += chunk[: SNIFF_BYTES - len(self._head)]
        try:
            await self._writer.write(chunk)
        except InsufficientStorage:
            raise no_room() from None
        await self._scan.send(chunk)

    async def finish(self, filename: str | None = None) -> ReceivedFile:
        """Become a blob, perhaps under a name that came last; raises Problem."""
        if self._size == 0:
            raise Problem(422, "EMPTY_FILE", "A file without a single byte cannot be used.")
        try:
            _refuse_unclean(await self._scan.verdict())
        except ScannerUnavailable:
            raise scanner_away() from None
        try:
            written = await self._writer.commit()
        except InsufficientStorage:
            raise no_room() from None
        metrics.UPLOADS.inc()
        return ReceivedFile(
            field=self._field,
            filename=self._filename if filename is None else clean_filename(filename),
            media_type=self._media_types.of(bytes(self._head)),
            size_bytes=written.size_bytes,
            sha256=written.sha256,
            blob_key=written.key,
        )

    async def close(self) -> None:
        """Let go; whatever was not finished disappears."""
        try:
            await self._scan.close()
        finally:
            await self._writer.abort()


def _refuse_unclean(verdict: Verdict) -> None:
    if verdict.kind is not Kind.INFECTED:
        return
    if detail := REFUSALS.get(verdict.finding):
        raise Problem(422, verdict.finding, detail)
    raise Problem(
        *(422, verdict.finding, "The file contains malware."),
        details={"signature": verdict.signature or ""},
    )


def no_room() -> Problem:
    """The refusal when the disk is full."""
    return Problem(507, "INSUFFICIENT_STORAGE", "There is no room for the file at the moment.")


def scanner_away() -> Problem:
    """The refusal when nobody can say whether the file is clean."""
    return Problem(
        503,
        "SCANNER_UNAVAILABLE",
        "The file could not be scanned; try again shortly.",
        headers={"Retry-After": RETRY_AFTER_SECONDS},
    )
