"""Strong entity tags, and the 304 they make possible.

A tag is made from what the answer is made from (a row's version, or the bytes), so that an
unrelated event changes none.
"""

import hashlib

from starlette.requests import Request
from starlette.responses import Response


def etag_of(*parts: bytes | str | int) -> str:
    """The quoted tag of an answer that these parts determine."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode()
        # The length keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(f"{len(raw)}:".encode())
        digest.update(raw)
    return f'"{digest.hexdigest()[:32]}"'


def matches(request: Request, etag: str) -> bool:
    """Whether the caller already has this: `If-None-Match` holds the tag, or `*`."""
    header = ",".join(request.headers.getlist("if-none-match"))
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or etag in tags


def not_modified(etag: str, cache_control: str | None = None) -> Response:
    """The 304, with the headers that the 200 would have had."""
    headers = {"ETag": etag}
    if cache_control is not None:
        headers["Cache-Control"] = cache_control
    return Response(status_code=304, headers=headers)
