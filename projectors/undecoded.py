"""Keeps FastStream from decoding messages: what they hold is the codec's business."""

from typing import Any

from faststream.message import StreamMessage


async def undecoded(message: StreamMessage[Any]) -> Any:
    """The raw message, or the list of them in a batch."""
    return message.raw_message
