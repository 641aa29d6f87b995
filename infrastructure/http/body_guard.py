"""Bounds what a request body may be, and makes sure that its refusal is seen.

A request framed in two ways at once is refused (400), for two readers could split it differently.
No body is read beyond the limit in force (413): `BODY_BYTES_MAX`, or what a route that streams sets
with `allow_body`. A refusal sent while the body is still coming would be lost if the connection
were closed at once, because the kernel answers unread bytes with a reset; so the rest is read and
thrown away, up to a limit, before the connection closes.
"""

import asyncio
import time

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrastructure.http.problems import Problem, problem_response

BODY_BYTES_MAX = 1024 * 1024
DISCARD_BYTES_MAX = 256 * 1024 * 1024
DISCARD_SECONDS_MAX = 15.0
DISCARD_IDLE_SECONDS_MAX = 2.0

_CLOSE = (b"connection", b"close")


def allow_body(request: Request, bytes_max: int, code: str = "BODY_TOO_LARGE") -> None:
    """Set this request's body limit, before anything of the body was read."""
    request.scope["state"]["body_limit"] = (bytes_max, code)


class BodyGuard:
    """Wraps `receive` to count and `send` to linger."""

    def __init__(self, app: ASGIApp, *, bytes_max: int = BODY_BYTES_MAX) -> None:
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application with a guarded body."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        length, chunked, expects = _framing(scope)
        if length is not None and chunked:
            problem = Problem(
                400,
                "BAD_FRAMING",
                "Content-Length and Transfer-Encoding exclude each other.",
                headers={"Connection": "close"},
            )
            return await problem_response(scope, problem)(scope, receive, send)
        if not length and not chunked:
            # No body: nothing to count and nothing to linger for.
            return await self._app(scope, receive, send)
        scope["state"]["body_limit"] = (self._bytes_max, "BODY_TOO_LARGE")
        body = _Body(scope, receive, send, length, expects)
        await self._app(scope, body.receive, body.send)


def _framing(scope: Scope) -> tuple[int | None, bool, bool]:
    length, chunked, expects = None, False, False
    for name, value in scope["headers"]:
        if name == b"content-length":
            # The server's parser has already refused what is not a number.
            length = int(value)
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"expect":
            expects = True
    return length, chunked, expects


class _Body:
    def __init__(
        self, scope: Scope, receive: Receive, send: Send, length: int | None, expects: bool
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._length = length
        # A client that waits for "100 Continue" sends nothing until we first read.
        self._is_coming = not expects
        self._is_complete = False
        self._lingers = False
        self._count = 0

    async def receive(self) -> Message:
        if self._is_complete:
            return await self._receive()
        bytes_max, code = self._scope["state"]["body_limit"]
        if self._length is not None and self._length > bytes_max:
            raise too_large(bytes_max, code)
        self._is_coming = True
        message = await self._receive()
        self._note(message)
        if self._count > bytes_max:
            raise too_large(bytes_max, code)
        return message

    def _note(self, message: Message) -> None:
        if message["type"] != "http.request":
            self._is_complete = True
            return
        self._count += len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._lingers = not self._is_complete and message["status"] >= 400
            if self._lingers:
                message["headers"] = [*message.get("headers", ()), _CLOSE]
        elif self._lingers and not message.get("more_body", False):
            # The whole answer goes out first; only its end, which closes the connection, waits.
            await self._send({**message, "more_body": True})
            await self._discard()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _discard(self) -> None:
        if not self._is_coming:
            return
        most = self._count + DISCARD_BYTES_MAX
        deadline = time.monotonic() + DISCARD_SECONDS_MAX
        while not self._is_complete and self._count < most and time.monotonic() < deadline:
            try:
                async with asyncio.timeout(DISCARD_IDLE_SECONDS_MAX):
                    self._note(await self._receive())
            except (TimeoutError, ClientDisconnect):
                return


def too_large(bytes_max: int, code: str) -> Problem:
    """The refusal of a body beyond the limit."""
    return Problem(413, code, f"The body may have at most {bytes_max} bytes.")
