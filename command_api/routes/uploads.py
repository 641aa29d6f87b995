"""`/uploads`: files that wait to be the input of jobs."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from command_api.answers import POSITION
from command_api.bodies import UploadBody
from command_api.commands import ReceiveUpload
from command_api.principals import Client
from command_api.requests import MULTIPART
from command_api.routes.received_files import receive_any
from events.store.provisional_blobs import ProvisionalBlobs
from infrastructure.filenames import FILENAME_BYTES_MAX
from infrastructure.http.problems import Problem

router = APIRouter(prefix="/uploads", tags=["uploads"])

REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "contentMediaType": "application/octet-stream"}
                    },
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post("", status_code=201, response_model=UploadBody, openapi_extra=REQUEST_BODY)
async def upload_file(
    request: Request,
    response: Response,
    caller: Client,
    filename: Annotated[
        str | None,
        Query(max_length=FILENAME_BYTES_MAX, description="Of a body that is the file itself."),
    ] = None,
) -> UploadBody:
    """Keep one file for 24 hours: as multipart, as base64 in JSON, or as the body itself."""
    resources = caller.resources
    received = await receive_any(request, caller, filename)
    async with ProvisionalBlobs(resources.blobs) as blobs:
        for each in received.files:
            blobs.add(each.blob_key)
        if len(received.files) != 1:
            raise Problem(422, "ONE_FILE_EXPECTED", "An upload is one file.")
        file = received.files[0]
        command = ReceiveUpload(principal=caller.principal, request_id=caller.request_id, file=file)
        upload = await resources.handlers.receive_upload(command, blobs)
    response.headers[POSITION] = str(upload.position)
    return UploadBody(
        upload_id=upload.upload_id,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        media_type=file.media_type,
        filename=file.filename,
        expires_at=upload.expires_at,
    )
