"""Asks a virus scanner about bytes as they stream by.

Only the answer `stream: OK` means clean: an error, a limit, a silence or a lost connection means
that nothing is known, and the caller must refuse. The switched-off scanner says so wherever it is
asked, in readiness too. A scanner is no guard against bombs: clamd calls an archive of 300 MB of
zeros clean.
"""

import asyncio
import re
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from urllib.parse import unquote, urlsplit

from infrastructure import metrics
from infrastructure.health import CheckFailed

CONNECT_SECONDS_MAX = 2.0
SEND_SECONDS_MAX = 10.0
VERDICT_SECONDS_MAX = 60.0
CHUNK_BYTES_MAX = 256 * 1024
REPLY_BYTES_MAX = 4_096

_FOUND = re.compile(r"stream: (?P<name>[^\x00-\x1f\x7f]{1,200}) FOUND")
_CLEAN = "stream: OK"
_TOO_LONG = "INSTREAM size limit exceeded"
_END = struct.pack("!I", 0)


class ScannerUnavailable(Exception):
    """The virus scanner gives no clear answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{self.__doc__} {reason}")


class StreamTooLong(ScannerUnavailable):
    """The file is longer than what the virus scanner takes."""


class Kind(StrEnum):
    """What a scanner can say."""

    CLEAN = "clean"
    INFECTED = "infected"
    NOT_SCANNED = "off"


class Finding(StrEnum):
    """What it means that a scanner found something; the code of the refusal."""

    MALWARE = "MALWARE_DETECTED"
    LIMITS = "SCAN_LIMITS_EXCEEDED"
    ENCRYPTED = "ENCRYPTED_FILE"


# What clamd reports under these names is no malware: it only could not look inside.
_NOT_LOOKED_INSIDE = (
    ("Heuristics.Limits.", Finding.LIMITS),
    ("Heuristics.Encrypted.", Finding.ENCRYPTED),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one file; `signature` names what was found."""

    kind: Kind
    signature: str | None = None

    @property
    def finding(self) -> Finding:
        """What was found, by its signature."""
        for prefix, finding in _NOT_LOOKED_INSIDE:
            if (self.signature or "").startswith(prefix):
                return finding
        return Finding.MALWARE


class Scan(Protocol):
    """One file on its way through the scanner."""

    async def send(self, chunk: bytes) -> None:
        """Pass bytes on; never raises for what the scanner does: the verdict tells."""

    async def verdict(self) -> Verdict:
        """End the file and ask; raises ScannerUnavailable."""

    async def close(self) -> None:
        """Let go of the connection."""


class Scanner(Protocol):
    """Scans files."""

    async def scan(self) -> Scan:
        """Begin with one file; raises ScannerUnavailable."""

    async def check(self) -> str | None:
        """For readiness: says `off`, or raises CheckFailed."""


class NoScanner:
    """Scans nothing, and says so."""

    async def scan(self) -> Scan:
        """A scan whose verdict is that there was none."""
        return _NoScan()

    async def check(self) -> str | None:
        """For readiness."""
        return Kind.NOT_SCANNED


class _NoScan:
    async def send(self, chunk: bytes) -> None:
        return

    async def verdict(self) -> Verdict:
        metrics.SCANS.labels(Kind.NOT_SCANNED).inc()
        return Verdict(Kind.NOT_SCANNED)

    async def close(self) -> None:
        return


@dataclass(frozen=True)
class ClamdScanner:
    """Scans with clamd: a TCP `host` and `port`, or a Unix socket's `path`."""

    host: str = ""
    port: int = 0
    path: str = ""
    verdict_seconds_max: float = VERDICT_SECONDS_MAX

    async def scan(self) -> Scan:
        """Open a connection of its own for one file."""
        reader, writer = await self._connect()
        writer.write(b"zINSTREAM\0")
        return _ClamdScan(reader, writer, self.verdict_seconds_max)

    async def check(self) -> str | None:
        """For readiness: clamd answers a ping."""
        try:
            reader, writer = await self._connect()
            try:
                writer.write(b"zPING\0")
                async with asyncio.timeout(CONNECT_SECONDS_MAX):
                    reply = await reader.readuntil(b"\0")
            finally:
                writer.close()
        except (ScannerUnavailable, OSError, TimeoutError, asyncio.IncompleteReadError):
            raise CheckFailed("unreachable") from None
        if reply != b"PONG\0":
            raise CheckFailed("unexpected answer")
        return None

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                if self.path:
                    return await asyncio.open_unix_connection(self.path, limit=REPLY_BYTES_MAX)
                return await asyncio.open_connection(self.host, self.port, limit=REPLY_BYTES_MAX)
        except (OSError, TimeoutError) as error:
            raise ScannerUnavailable(type(error).__name__) from error


class _ClamdScan:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        verdict_seconds_max: float,
    ) -> None:
        self._writer = writer
        self._verdict_seconds_max = verdict_seconds_max
        # Read while writing: over its size limit clamd answers early and closes, and an answer that
        # nobody reads is lost with the connection.
        self._reply = asyncio.create_task(_read_reply(reader), name="clamd_reply")
        self._is_broken = False

    async def send(self, chunk: bytes) -> None:
        if self._is_broken or self._reply.done():
            return
        try:
            for part in _parts(chunk):
                self._writer.write(struct.pack("!I", len(part)))
                self._writer.write(part)
            async with asyncio.timeout(SEND_SECONDS_MAX):
                await self._writer.drain()
        except (OSError, TimeoutError):
            self._is_broken = True

    async def verdict(self) -> Verdict:
        began = time.perf_counter()
        try:
            if not self._is_broken and not self._reply.done():
                self._writer.write(_END)
            async with asyncio.timeout(self._verdict_seconds_max):
                verdict = _verdict(await asyncio.shield(self._reply))
        except StreamTooLong:
            metrics.SCANS.labels("failed").inc()
            raise
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
            metrics.SCANS.labels("failed").inc()
            raise ScannerUnavailable(type(error).__name__) from error
        finally:
            metrics.SCAN_SECONDS.observe(time.perf_counter() - began)
        metrics.SCANS.labels(verdict.kind).inc()
        return verdict

    async def close(self) -> None:
        self._reply.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._reply
        self._writer.close()


async def _read_reply(reader: asyncio.StreamReader) -> str:
    # LimitOverrunError is an Exception, not a ValueError: a reply without end is no answer either.
    try:
        reply = await reader.readuntil(b"\0")
    except asyncio.LimitOverrunError as error:
        raise ValueError("reply too long") from error
    return reply[:-1].decode("utf-8", "replace")


def _verdict(reply: str) -> Verdict:
    if reply == _CLEAN:
        return Verdict(Kind.CLEAN)
    if found := _FOUND.fullmatch(reply):
        return Verdict(Kind.INFECTED, found["name"])
    if reply.startswith(_TOO_LONG):
        raise StreamTooLong("Its limit is StreamMaxLength.")
    raise ValueError("not a verdict")


def _parts(chunk: bytes) -> Iterable[memoryview]:
    view = memoryview(chunk)
    for at in range(0, len(view), CHUNK_BYTES_MAX):
        yield view[at : at + CHUNK_BYTES_MAX]


class BadScannerAddress(ValueError):
    """CLAMD_URL must be `tcp://host:port` or `unix:///path`."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def scanner_at(clamd_url: str | None) -> Scanner:
    """The scanner at CLAMD_URL; without an address none, which is visible in /ready."""
    if clamd_url is None:
        return NoScanner()
    address = urlsplit(clamd_url)
    if address.scheme == "unix" and address.path.startswith("/"):
        return ClamdScanner(path=unquote(address.path))
    if address.scheme == "tcp" and address.hostname and address.port:
        return ClamdScanner(host=address.hostname, port=address.port)
    raise BadScannerAddress
