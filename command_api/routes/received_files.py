"""Receives files in whichever of the three ways a client sends them."""

from starlette.requests import Request

from command_api.principals import Caller
from command_api.requests import JSON, MULTIPART, content_type_of
from infrastructure.http.problems import Problem
from infrastructure.http.uploads import Received


async def receive_form_or_json(
    request: Request, caller: Caller, *, needs_file: bool = True
) -> Received:
    """Files as multipart/form-data, or one in base64 in JSON; raises Problem."""
    receiver, sender = caller.resources.receiver, _sender(caller)
    content_type = content_type_of(request)
    if content_type == MULTIPART:
        return await receiver.multipart(request, *sender, needs_file=needs_file)
    if content_type == JSON:
        return await receiver.json_base64(request, *sender, needs_file=needs_file)
    raise Problem(
        415,
        "UNSUPPORTED_CONTENT_TYPE",
        f"Send files as {MULTIPART}, or one file in base64 as {JSON}.",
    )


async def receive_any(request: Request, caller: Caller, filename: str | None) -> Received:
    """The same, or the whole body as one file under any other content type; raises Problem."""
    if content_type_of(request) in (MULTIPART, JSON):
        return await receive_form_or_json(request, caller)
    return await caller.resources.receiver.raw(request, *_sender(caller), filename)


def _sender(caller: Caller) -> tuple[str, str]:
    return caller.principal.tenant, str(caller.principal.user_id)
