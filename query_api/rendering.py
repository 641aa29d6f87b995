"""Turns a view into an answer: its bytes, their ETag, the position they reflect, and a 304.

The tag is made from the bytes, so it changes when and only when what is shown changes.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from infrastructure.http.etag import etag_of, matches, not_modified

APPLIED_POSITION = "X-Applied-Position"
JSON = "application/json"

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Rendered:
    """The bytes of a view, or of a text, and their tag."""

    def __init__(self, view: BaseModel | str, media_type: str = JSON) -> None:
        text = view if isinstance(view, str) else view.model_dump_json()
        self._body = text.encode()
        self._media_type = media_type
        self._etag = etag_of(self._body)

    def is_known_to(self, request: Request) -> bool:
        """Whether the caller says that it has exactly this."""
        return matches(request, self._etag)

    def answer(self, request: Request, position: int, cache_control: str | None = None) -> Response:
        """The whole answer, or 304 when the caller has it."""
        if self.is_known_to(request):
            answer = not_modified(self._etag, cache_control)
        else:
            answer = Response(self._body, media_type=self._media_type, headers={"ETag": self._etag})
            if cache_control is not None:
                answer.headers["Cache-Control"] = cache_control
        answer.headers[APPLIED_POSITION] = str(position)
        return answer


def reads(
    router: APIRouter, path: str, view: type[BaseModel] | None = None, **options: Any
) -> Callable[[Endpoint], Endpoint]:
    """Register an endpoint for GET and, out of the document, for HEAD."""

    def register(endpoint: Endpoint) -> Endpoint:
        router.add_api_route(path, endpoint, methods=["GET"], response_model=view, **options)
        router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False, **options)
        return endpoint

    return register
