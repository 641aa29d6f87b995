"""What requests say in headers and bodies, where the framework does not read them for us."""

import re
from typing import Annotated, Any, Final, TypeVar

import orjson
from fastapi import Depends, Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, TypeAdapter, ValidationError

from command_api.commands import IDEMPOTENCY_KEY_CHARACTERS_MAX, IdempotencyKey
from command_api.job_endings import WAIT_SECONDS_MAX
from infrastructure.http.problems import VALIDATION_ERROR, Problem

_WAIT: Final = re.compile(r"\s*wait\s*=\s*\"?(\d{1,6})\"?\s*", re.IGNORECASE)
_KEY: Final = TypeAdapter(IdempotencyKey)


def get_request_id(request: Request) -> str:
    """The id under which the request is logged; it becomes the correlation id of events."""
    return str(request.scope["state"]["request_id"])


RequestId = Annotated[str, Depends(get_request_id)]


def get_wait_seconds(
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


def get_idempotency_key(
    idempotency_key: Annotated[
        str | None,
        Header(description="Makes sending the same request again safe: one job, the same answer."),
    ] = None,
) -> str | None:
    """The client's name for this request; raises Problem for one that cannot be a name."""
    if idempotency_key is None:
        return None
    try:
        return _KEY.validate_python(idempotency_key)
    except ValidationError:
        message = (
            f"An Idempotency-Key has 1 to {IDEMPOTENCY_KEY_CHARACTERS_MAX} visible characters."
        )
        raise Problem(400, "BAD_IDEMPOTENCY_KEY", message) from None


IdempotencyKeyHeader = Annotated[str | None, Depends(get_idempotency_key)]

Body = TypeVar("Body", bound=BaseModel)


def validated(shape: type[Body], value: object) -> Body:
    """A value in a shape; raises what the framework raises for a body that does not fit."""
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        details = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(details) from None


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
