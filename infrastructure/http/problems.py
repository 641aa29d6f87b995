"""Turns every failure of a request into one shape, `application/problem+json`.

A `Problem` is raised where the HTTP status is known; a service registers how its own errors become
problems in one table. Everything else (404, 405, validation, a bug) gets a code too. No answer
holds an internal detail: a bug is logged with its stack and answered with its request id.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PROBLEM_MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:magictoolbox:problem:"
VALIDATION_DETAILS_MAX = 20
CLIENT_CLOSED_REQUEST = 499

INTERNAL_ERROR = "INTERNAL_ERROR"
VALIDATION_ERROR = "VALIDATION_ERROR"

# Codes of refusals that come from the framework instead of from us.
_FRAMEWORK_CODES = {
    HTTPStatus.UNAUTHORIZED: "UNAUTHENTICATED",
    HTTPStatus.INTERNAL_SERVER_ERROR: INTERNAL_ERROR,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "BODY_TOO_LARGE",
    HTTPStatus.UNPROCESSABLE_ENTITY: VALIDATION_ERROR,
    HTTPStatus.TOO_MANY_REQUESTS: "RATE_LIMITED",
}

log = structlog.get_logger(__name__)

Details = Sequence[Mapping[str, Any]] | Mapping[str, Any]


class Problem(HTTPException):
    """A request that is refused: status, code, a sentence for people, and details for programs.

    It derives from the framework's exception because that one passes through its body parsing.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Details | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.code = code
        self.message = message
        self.details = details


class ProblemDetail(BaseModel):
    """One thing that is wrong, and where."""

    field: str = Field(description="Where, dotted: `options.width`.")
    message: str
    code: str


class ProblemDocument(BaseModel):
    """The body of every refusal; here for the OpenAPI document only."""

    type: str = Field(examples=[f"{TYPE_PREFIX}FILE_TOO_LARGE"])
    title: str = Field(examples=["File too large"])
    status: int = Field(examples=[413])
    code: str = Field(examples=["FILE_TOO_LARGE"])
    message: str = Field(examples=["The files are larger than 52428800 bytes together."])
    details: list[ProblemDetail] | dict[str, Any] | None = None
    request_id: str | None = None


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem",
        "model": ProblemDocument,
        "content": {
            PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
        },
    }
}

ErrorTable = Mapping[type[Exception], Callable[[Any], Problem]]
Handler = Callable[[Request, Any], Awaitable[Response]]


def problem_response(scope: Scope, problem: Problem) -> Response:
    """The answer to a request that met this problem."""
    document = {
        "type": f"{TYPE_PREFIX}{problem.code}",
        "title": problem.code.replace("_", " ").capitalize(),
        "status": problem.status_code,
        "code": problem.code,
        "message": problem.message,
        "details": problem.details,
        "request_id": scope.get("state", {}).get("request_id"),
    }
    return Response(
        orjson.dumps(document, default=str),
        status_code=problem.status_code,
        headers=dict(problem.headers or {}),
        media_type=PROBLEM_MEDIA_TYPE,
    )


def internal_problem() -> Problem:
    """What a bug looks like from outside."""
    return Problem(500, INTERNAL_ERROR, "Something went wrong here; the request id names it.")


def install(app: FastAPI, errors: ErrorTable) -> None:
    """Answer the framework's errors and those of the table with problems."""

    async def refused(request: Request, error: HTTPException) -> Response:
        return problem_response(request.scope, _of_framework(error))

    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return problem_response(request.scope, _of_validation(error))

    app.add_exception_handler(HTTPException, refused)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, invalid)  # type: ignore[arg-type]
    for error_class, problem_of in errors.items():
        app.add_exception_handler(error_class, _translated(problem_of))


def _translated(problem_of: Callable[[Any], Problem]) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            # Expected while a server is away; its stack says nothing that the code does not.
            log.warning("request_refused", code=problem.code, error=type(error).__name__)
        elif problem.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("request_failed", code=problem.code, exc_info=error)
        return problem_response(request.scope, problem)

    return handle


def _of_framework(error: HTTPException) -> Problem:
    if isinstance(error, Problem):
        return error
    status = HTTPStatus(error.status_code)
    code = _FRAMEWORK_CODES.get(status, status.name)
    message = error.detail if isinstance(error.detail, str) else status.phrase
    return Problem(error.status_code, code, message, headers=error.headers)


def _of_validation(error: RequestValidationError) -> Problem:
    # Of each error only place, text and kind: its `input` can be a password, its `ctx` an object.
    details = [
        {"field": _dotted(each["loc"]), "message": each["msg"], "code": each["type"]}
        for each in error.errors()[:VALIDATION_DETAILS_MAX]
    ]
    return Problem(422, VALIDATION_ERROR, "The request is not valid.", details=details)


def _dotted(location: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in location[1:]) or str(location[0])


class ErrorBoundary:
    """The last catch of a request: a bug becomes one log record and an answer without details."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application inside the boundary."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, note_start)
        except ClientDisconnect:
            # Nobody is left to answer.
            return
        except Problem as problem:
            # Raised by a middleware, outside the framework's own handlers.
            if started:
                raise
            await problem_response(scope, problem)(scope, receive, send)
        except Exception as error:
            log.error("request_failed", code=INTERNAL_ERROR, exc_info=error)
            if started:
                # Half an answer is out: only a broken connection tells the client so.
                raise
            await problem_response(scope, internal_problem())(scope, receive, send)
