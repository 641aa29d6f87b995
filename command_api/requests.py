"""What requests say in headers and bodies, where the framework does not read them for us."""

import re
from typing import Annotated, Any, Final, TypeVar

import orjson
from fastapi import Depends, Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, TypeAdapter, ValidationError

from command_api.commands import IdempotencyKey
from command_api.job_endings import WAIT_SECONDS_MAX
from infrastructure.http.problems import VALIDATION_ERROR, Problem

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
MULTIPART: Final = "multipart/form-data"

_WAIT: Final = re.compile(r"\s*wait\s*=\s*\"?(\d{1,6})\"?\s*", re.IGNORECASE)


async def get_wait_seconds(
    prefer: Annotated[
        str | None,
        Header(description=f"`wait=N`: answer when the job ends, at most {WAIT_SECONDS_MAX} s."),
    ] = None,
) -> int:
    """How long the client prefers to wait; a preference that is not understood is none."""
    for preference in (prefer or "").split(","):
        for part in preference.split(";"):
            if match := _WAIT.fullmatch(part):
                return min(int(match[1]), WAIT_SECONDS_MAX)
    return 0


WaitSeconds = Annotated[int, Depends(get_wait_seconds)]


IdempotencyKeyHeader = Annotated[
    IdempotencyKey | None,
    Header(
        alias="Idempotency-Key",
        description="Makes sending the same request again safe: one job, the same answer.",
    ),
]

Value = TypeVar("Value")
Shape = TypeVar("Shape", bound=BaseModel)


def validated(shape: type[Shape], value: object) -> Shape:
    """A value in a shape; raises what the framework raises for a body that does not fit."""
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        raise _invalid("body", error) from None


def validated_json(shape: type[Shape], request: Request, body: bytes) -> Shape:
    """A JSON body in a shape; raises Problem, and what the framework raises."""
    if content_type_of(request) != JSON:
        raise Problem(415, "UNSUPPORTED_CONTENT_TYPE", f"Send the body as {JSON}.")
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        raise _invalid("body", error) from None


def validated_header(kind: TypeAdapter[Value], name: str, value: str) -> Value:
    """A header's value; raises what the framework raises for one that does not fit."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise _invalid(f"header.{name}", error) from None


def _invalid(place: str, error: ValidationError) -> RequestValidationError:
    return RequestValidationError(
        [{**each, "loc": (place, *each["loc"])} for each in error.errors()]
    )


def json_object(text: bytes | str, field: str) -> dict[str, Any]:
    """A JSON object; raises Problem."""
    try:
        value = orjson.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        detail = {"field": field, "message": "This is not a JSON object.", "code": "json"}
        raise Problem(422, VALIDATION_ERROR, "The request is not valid.", details=[detail])
    return value


def content_type_of(request: Request) -> str:
    """The media type that the body claims to have, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
