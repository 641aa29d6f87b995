"""Has what came out of an encryption scanned for viruses, as uploads are.

What was encrypted when it was sent is what no scanner could look into, so the outputs of a tool
that opens it are scanned before they are stored. Only a clean answer lets them pass; an output that
is larger than what the scanner takes is refused for good, and a scanner that is away waits for a
retry. Where no scanner is set up nothing is scanned, as with uploads.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from events.domain.job import Job
from infrastructure.scanner import (
    Finding,
    Kind,
    NoScanner,
    Scanner,
    ScannerUnavailable,
    StreamTooLong,
    Verdict,
)
from processors.sandbox.run import CollectedOutput
from processors.tools.base import MIB, DocumentedError
from processors.tools.registry import AnyTool

SCAN_SECONDS_MAX: Final = 300.0
"""For all outputs of a run."""
BLOCK_BYTES: Final = MIB


class MalwareDetected(DocumentedError):
    """What came out contains malware."""

    CODE = "MALWARE_DETECTED"


class ScanLimitsExceeded(DocumentedError):
    """What came out is too large or too nested to be scanned."""

    CODE = "SCAN_LIMITS_EXCEEDED"


class EncryptedWithin(DocumentedError):
    """What came out is encrypted again and cannot be scanned."""

    CODE = "ENCRYPTED_FILE"


class ScannerAway(DocumentedError):
    """What came out could not be scanned at the moment."""

    CODE = "SCANNER_UNAVAILABLE"
    PERMANENT = False


REFUSALS: Final[dict[Finding, type[DocumentedError]]] = {
    Finding.LIMITS: ScanLimitsExceeded,
    Finding.ENCRYPTED: EncryptedWithin,
}


class OutputScan:
    """Asks a scanner about the outputs of those jobs that open an encryption."""

    def __init__(self, scanner: Scanner | None = None) -> None:
        self._scanner = scanner or NoScanner()

    async def check(self, tool: AnyTool, job: Job, outputs: Sequence[CollectedOutput]) -> None:
        """Scan what needs it; raises ToolProcessingError at the first that is not clean."""
        # Without a password nothing was opened that the scanner had not seen into.
        if not tool.opens_encrypted or job.secrets is None:
            return
        try:
            async with asyncio.timeout(SCAN_SECONDS_MAX):
                for output in outputs:
                    _refuse_unclean(await self._verdict(output.path))
        except StreamTooLong:
            raise ScanLimitsExceeded from None
        except (ScannerUnavailable, TimeoutError) as error:
            raise ScannerAway(stack=repr(error)) from error

    async def _verdict(self, path: Path) -> Verdict:
        scan = await self._scanner.scan()
        try:
            with path.open("rb") as stream:
                while block := await asyncio.to_thread(stream.read, BLOCK_BYTES):
                    await scan.send(block)
            return await scan.verdict()
        finally:
            await scan.close()


def _refuse_unclean(verdict: Verdict) -> None:
    if verdict.kind is not Kind.INFECTED:
        return
    if verdict.finding is Finding.MALWARE:
        raise MalwareDetected(f"What came out contains malware: {verdict.signature}.")
    raise REFUSALS[verdict.finding]
