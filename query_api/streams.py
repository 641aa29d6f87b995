"""Server-sent events: their form, and how many streams there may be at a time."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Final
from uuid import UUID

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from query_api.errors import TooManyStreams

STREAMS_MAX: Final = 1_000
STREAMS_OF_ONE_MAX: Final = 20
MEDIA_TYPE: Final = "text/event-stream"
HEADERS: Final = {
    "Cache-Control": "no-store",
    # A proxy that buffers would hold back what is to be seen at once.
    "X-Accel-Buffering": "no",
}
HEARTBEAT: Final = b": still here\n\n"


def sse(data: bytes, *, event: str | None = None, position: int | None = None) -> bytes:
    """One message; `data` is JSON, which has no line breaks."""
    name = b"" if event is None else b"event: %s\n" % event.encode()
    identity = b"" if position is None else b"id: %d\n" % position
    return b"%s%sdata: %s\n\n" % (name, identity, data)


class Streams:
    """The streams of one process."""

    def __init__(self) -> None:
        self._of_one: Counter[UUID] = Counter()

    def enter(self, user_id: UUID) -> None:
        """Take a place; raises TooManyStreams."""
        if self._of_one.total() >= STREAMS_MAX or self._of_one[user_id] >= STREAMS_OF_ONE_MAX:
            raise TooManyStreams
        self._of_one[user_id] += 1

    def leave(self, user_id: UUID) -> None:
        """Give it up."""
        self._of_one[user_id] -= 1
        self._of_one += Counter()


class EventStream(StreamingResponse):
    """Sends messages until there are no more or nobody reads them; then tells that it is over."""

    def __init__(self, messages: AsyncIterator[bytes], ended: Callable[[], None]) -> None:
        super().__init__(messages, headers=HEADERS, media_type=MEDIA_TYPE)
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See StreamingResponse."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()
