"""Puts the headers on every answer that keep a browser from being helpful to an attacker.

A header that the route set itself stays as it is: a dashboard brings its own policy, a catalogue
its own Cache-Control.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

API_POLICY = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# The interactive documentation loads its script and style from where FastAPI keeps them.
DOCS_POLICY = (
    b"default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    b"style-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    b"img-src 'self' data: https://fastapi.tiangolo.com; connect-src 'self'; frame-ancestors 'none'"
)
DOCS_PATH = "/docs"
TRANSPORT_SECURITY = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_NO_STORE = (b"cache-control", b"no-store")
# Also on answers to callers without an Origin: a cache must not hand those to a browser's script.
_VARY = (b"vary", b"Origin")


class SecurityHeaders:
    """Adds the headers; `https` says that browsers reach this API by https only."""

    def __init__(self, app: ASGIApp, *, https: bool = False) -> None:
        self._app = app
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application and complete the headers of its answer."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._complete(scope, list(message.get("headers", ())))
            await send(message)

        await self._app(scope, receive, with_headers)

    def _complete(
        self, scope: Scope, headers: list[tuple[bytes, bytes]]
    ) -> list[tuple[bytes, bytes]]:
        present = {name for name, _ in headers}
        policy = DOCS_POLICY if scope["path"] == DOCS_PATH else API_POLICY
        for header in (*_ALWAYS, _NO_STORE, _VARY, (b"content-security-policy", policy)):
            if header[0] not in present:
                headers.append(header)
        if self._https or scope["scheme"] == "https":
            headers.append(TRANSPORT_SECURITY)
        return headers
