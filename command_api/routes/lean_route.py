"""A route for the hot path: documented like any other, without the framework's general machinery.

The framework reads each request's parameters anew through a tree of descriptions; for a small JSON
body that costs more than everything the route itself does. This route reads the same signature
once; on the machine of the first measurement that is 110 microseconds less of 350.
"""

from collections.abc import Awaitable, Callable
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter

from command_api.requests import validated_header, validated_json

Handler = Callable[[Request], Awaitable[Response]]

BODY, CALLER, KEY = "body", "caller", "idempotency_key"
KEY_HEADER = "Idempotency-Key"


class LeanRoute(APIRoute):
    """For endpoints with exactly the parameters `body`, `caller` and `idempotency_key`.

    The caller is found out before the body is read, as everywhere.
    """

    def get_route_handler(self) -> Handler:  # type: ignore[override]
        """Read the signature once; the handler then only calls."""
        hints = get_type_hints(self.endpoint, include_extras=True)
        hints.pop("return")
        if set(hints) != {BODY, CALLER, KEY}:
            raise TypeError(f"{self.path}: not the signature of a lean route")
        shape: type[BaseModel] = hints[BODY]
        authenticated: Callable[[Request], Awaitable[Any]] = (
            hints[CALLER].__metadata__[0].dependency
        )
        key_of: TypeAdapter[str | None] = TypeAdapter(hints[KEY])
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            caller = await authenticated(request)
            key = request.headers.get(KEY_HEADER)
            if key is not None:
                key = validated_header(key_of, KEY_HEADER, key)
            body = validated_json(shape, request, await request.body())
            response: Response = await endpoint(body=body, caller=caller, idempotency_key=key)
            return response

        return handle
