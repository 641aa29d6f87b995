"""A load of equal POST requests over keep-alive connections, from a process of its own.

Small on purpose: it writes a prepared request and looks for the end of the answer, so that one core
is enough to keep a server busy. Run as a program it prints one JSON line.
"""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import uvloop

from tests.benchmarks.table import quantile

WARM_UP_SECONDS = 1.0
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True)
class Load:
    """What to send, where, how many at once, how long."""

    host: str
    port: int
    path: str
    headers: dict[str, str]
    body: str
    connections: int
    seconds: float
    expected_status: int

    def request(self) -> bytes:
        """The bytes of one request."""
        headers = {
            "host": f"{self.host}:{self.port}",
            "content-type": "application/json",
            "content-length": str(len(self.body.encode())),
            **self.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {self.path} HTTP/1.1\r\n{lines}\r\n{self.body}".encode()


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back."""

    per_second: float
    p50_ms: float
    p99_ms: float


class Connection(asyncio.Protocol):
    """Sends the request again as soon as the answer is complete."""

    def __init__(self, request: bytes, status: bytes, waits: list[float]) -> None:
        self._request = request
        self._status = status
        self._waits = waits
        self._received = b""
        self._began = 0.0
        self.failure: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(HEAD_END)
        if not found:
            return
        length = head.lower().partition(LENGTH)[2].partition(b"\r\n")[0]
        if len(rest) < int(length or 0):
            return
        if not head.startswith(self._status):
            self.failure = self._received[:500].decode(errors="replace")
            self._transport.close()
            return
        self._waits.append(time.perf_counter() - self._began)
        self._received = b""
        self._send()

    def close(self) -> None:
        """Send no more."""
        self._transport.close()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)


async def run(load: Load) -> Answers:
    """Put the load on and measure after a short warm-up."""
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    status = f"HTTP/1.1 {load.expected_status}".encode()
    connections = [
        (
            await loop.create_connection(
                lambda: Connection(load.request(), status, waits), load.host, load.port
            )
        )[1]
        for _ in range(load.connections)
    ]
    await asyncio.sleep(WARM_UP_SECONDS)
    waits.clear()
    began = time.perf_counter()
    await asyncio.sleep(load.seconds)
    took = time.perf_counter() - began
    measured = list(waits)
    for connection in connections:
        connection.close()
        if connection.failure:
            raise RuntimeError(f"an answer was not {load.expected_status}: {connection.failure}")
    return Answers(
        len(measured) / took, quantile(measured, 0.5) * 1000, quantile(measured, 0.99) * 1000
    )


def put_on(load: Load) -> Answers:
    """Run the load in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.http_load"]
    done = subprocess.run(
        command, input=json.dumps(asdict(load)), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Answers(**json.loads(done.stdout))


if __name__ == "__main__":
    answers = uvloop.run(run(Load(**json.load(sys.stdin))))
    sys.stdout.write(json.dumps(asdict(answers)))
