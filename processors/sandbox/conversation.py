"""What a worker hears from a child: progress, and one result or error at the end."""

import asyncio
import socket

from processors.sandbox.frames import (
    FRAME_BYTES_MAX,
    HEADER,
    BadFrame,
    ErrorFrame,
    Order,
    ProgressFrame,
    ResultFrame,
    body_length,
    child_frame,
    packed,
)
from processors.sandbox.run import ToolRun
from processors.sandbox.watch import Verdict
from processors.tools.base import (
    Progress,
    ToolCrashed,
    ToolProcessingError,
    ToolResult,
)

FRAMES_MAX = 100_000

Ended = ToolResult | ToolProcessingError | None
"""How a child says that it ended; None when it fell silent."""


async def converse(
    channel: socket.socket, run: ToolRun, on_progress: Progress, verdict: Verdict
) -> Ended:
    """Give a child its order and listen to it; who talks nonsense is condemned."""
    reader, writer = await asyncio.open_unix_connection(sock=channel, limit=FRAME_BYTES_MAX)
    try:
        writer.write(packed(Order.of(run)))
        return await _listen(reader, on_progress)
    except BadFrame:
        ended = ToolCrashed("The tool's process sent something else than a result.")
    except (OSError, asyncio.IncompleteReadError):
        return None
    finally:
        writer.close()
    if not verdict.done():
        verdict.set_result(ended)
    return ended


async def _listen(reader: asyncio.StreamReader, on_progress: Progress) -> Ended:
    for _ in range(FRAMES_MAX):
        length = body_length(await reader.readexactly(HEADER.size))
        match child_frame(await reader.readexactly(length)):
            case ProgressFrame(progress=fraction, message=message):
                on_progress(fraction, message)
            case ResultFrame() as frame:
                return frame.result()
            case ErrorFrame() as frame:
                return frame.error()
    raise BadFrame(f"more than {FRAMES_MAX}")
