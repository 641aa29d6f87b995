"""Serves one ASGI application inside a process whose signals and life belong to somebody else.

The port is bound before anything starts, so that port 0 becomes a number and an occupied port an
OSError. A drain stops accepting, lets running requests finish for `drain_seconds`, then cancels.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from infrastructure.http.problems import PROBLEM_MEDIA_TYPE, Problem, problem_response

BACKLOG = 2_048
KEEP_ALIVE_SECONDS = 15
DRAIN_SECONDS_MAX = 20
# Beyond this uvicorn answers 503 before any of our code runs.
CONNECTIONS_MAX = 2_000


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, refusing what is not HTTP in the same form as everything else."""

    def send_400_response(self, msg: str) -> None:
        problem = Problem(400, "BAD_REQUEST", "This is not a valid HTTP request.")
        body = bytes(problem_response({}, problem).body)
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {PROBLEM_MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            "cache-control: no-store\r\nx-content-type-options: nosniff\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The process handles its signals and calls drain().
        yield


class HttpServer:
    """One listening address; `run` serves until `drain` was called and requests have ended."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        name: str = "http",
        drain_seconds: int = DRAIN_SECONDS_MAX,
        connections_max: int | None = CONNECTIONS_MAX,
    ) -> None:
        self.name = name
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None
        config = uvicorn.Config(
            app,
            http=_Protocol,
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            limit_concurrency=connections_max,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=drain_seconds,
        )
        self._server = _Server(config)

    @property
    def port(self) -> int:
        """The bound port."""
        if self._socket is None:
            raise RuntimeError("not bound yet")
        return int(self._socket.getsockname()[1])

    def bind(self) -> int:
        """Take the address and return its port; raises OSError where it is occupied."""
        if self._socket is None:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            self._socket = socket.create_server(
                (self._host, self._port), family=family, backlog=BACKLOG
            )
        return self.port

    async def run(self) -> None:
        """Serve until drained."""
        self.bind()
        assert self._socket is not None  # noqa: S101
        serving = asyncio.create_task(self._serve(self._socket), name=f"{self.name}_server")
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._server.force_exit = True
            self._server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)
            raise
        finally:
            self._socket.close()

    async def _serve(self, listener: socket.socket) -> None:
        try:
            await self._server.serve(sockets=[listener])
        except SystemExit as ended:
            # uvicorn leaves a process whose lifespan failed; ours has others to stop first.
            raise RuntimeError(f"{self.name}: the application did not start") from ended
        finally:
            self._server.listening.set()

    async def wait_started(self) -> None:
        """Wait until requests are answered, or until `run` has ended without."""
        await self._server.listening.wait()

    def drain(self) -> None:
        """Stop accepting and let running requests finish."""
        self._server.should_exit = True
