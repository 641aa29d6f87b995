"""The words that a worker, its zygote and the children of that exchange.

Frames between a worker and a child are JSON behind a length of four bytes, on a stream socket. The
child is not believed: what comes from it has to fit a model, and every length has a limit.
"""

import json
import struct
from pathlib import Path
from socket import socket
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from processors.sandbox.run import ToolRun
from processors.tools.base import (
    InputFile,
    OutputFile,
    ToolLimits,
    ToolProcessingError,
    ToolResult,
)
from processors.tools.stacks import STACK_LENGTH_MAX

FRAME_BYTES_MAX = 1024**2
HEADER = struct.Struct("!I")
MESSAGE_LENGTH_MAX = 1_000


class BadFrame(Exception):
    """A frame is too long or is not what was agreed."""


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProgressFrame(_Frame):
    """How far a tool has come."""

    progress: Annotated[float, Field(ge=0, le=1)]
    message: Annotated[str, StringConstraints(max_length=MESSAGE_LENGTH_MAX)]


class OutputClaim(_Frame):
    """What a tool says that it made."""

    name: Annotated[str, StringConstraints(max_length=MESSAGE_LENGTH_MAX)]
    path: Annotated[str, StringConstraints(max_length=4_096)]
    media_type: Annotated[str, StringConstraints(max_length=255)]


class ResultFrame(_Frame):
    """The end of a run that went well."""

    outputs: Annotated[list[OutputClaim], Field(max_length=1_000)]
    notes: Annotated[
        list[Annotated[str, StringConstraints(max_length=MESSAGE_LENGTH_MAX)]],
        Field(max_length=100),
    ]

    @classmethod
    def of(cls, result: ToolResult) -> "ResultFrame":
        """Write a result down."""
        claims = [
            OutputClaim(name=o.name, path=str(o.path), media_type=o.media_type)
            for o in result.outputs
        ]
        return cls(outputs=claims, notes=[note[:MESSAGE_LENGTH_MAX] for note in result.notes])

    def result(self) -> ToolResult:
        """Read it back."""
        outputs = tuple(OutputFile(c.name, Path(c.path), c.media_type) for c in self.outputs)
        return ToolResult(outputs, tuple(self.notes))


class ErrorFrame(_Frame):
    """The end of a run that failed."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
    message: Annotated[str, StringConstraints(max_length=MESSAGE_LENGTH_MAX)]
    field: Annotated[str, StringConstraints(max_length=200)] | None
    permanent: bool
    stack: Annotated[str, StringConstraints(max_length=STACK_LENGTH_MAX)] | None

    @classmethod
    def of(cls, error: ToolProcessingError) -> "ErrorFrame":
        """Write an error down."""
        return cls(
            code=error.code,
            message=error.message[:MESSAGE_LENGTH_MAX],
            field=error.field[:200] if error.field else None,
            permanent=error.permanent,
            stack=error.stack[-STACK_LENGTH_MAX:] if error.stack else None,
        )

    def error(self) -> ToolProcessingError:
        """Read it back."""
        return ToolProcessingError(
            self.code,
            self.message,
            field=self.field,
            permanent=self.permanent,
            stack=self.stack,
        )


ChildFrame = ProgressFrame | ResultFrame | ErrorFrame


class Order(_Frame):
    """What a child is told to do; it comes from the worker and is believed."""

    tool: str
    options: dict[str, Any]
    inputs: tuple[InputFile, ...]
    folder: Path
    limits: ToolLimits

    @classmethod
    def of(cls, run: ToolRun) -> "Order":
        """Write a run down."""
        return cls(
            tool=run.tool,
            options=run.options,
            inputs=run.inputs,
            folder=run.folder,
            limits=run.limits,
        )

    def run(self) -> ToolRun:
        """Read it back."""
        return ToolRun(self.tool, self.options, self.inputs, self.folder, self.limits)


def packed(frame: BaseModel) -> bytes:
    """A frame as it goes over a stream socket."""
    body = frame.model_dump_json().encode()
    if len(body) > FRAME_BYTES_MAX:
        raise BadFrame(f"{len(body)} bytes")
    return HEADER.pack(len(body)) + body


def body_length(header: bytes) -> int:
    """How many bytes follow a header."""
    (length,) = HEADER.unpack(header)
    if length > FRAME_BYTES_MAX:
        raise BadFrame(f"{length} bytes")
    return int(length)


def child_frame(body: bytes) -> ChildFrame:
    """Read what a child wrote."""
    try:
        keys = json.loads(body)
        for model in (ProgressFrame, ResultFrame, ErrorFrame):
            if set(model.model_fields) == set(keys):
                frame: ChildFrame = model.model_validate(keys)
                return frame
    except (ValueError, TypeError, RecursionError):
        pass
    raise BadFrame("not a frame")


def receive_order(source: socket) -> Order:
    """Read the one frame that a child is sent; blocks."""
    return Order.model_validate_json(_read(source, body_length(_read(source, HEADER.size))))


def _read(source: socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        part = source.recv(length - len(received))
        if not part:
            raise BadFrame("the other end is gone")
        received += part
    return bytes(received)
