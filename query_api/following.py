"""Follows one job for one client: its events without a gap, and its progress in between."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

from events.contracts.values import JobStatus
from query_api.event_views import event_view
from query_api.live_progress import Latest
from query_api.queries import timeline
from query_api.queries.applied import Applied
from query_api.queries.jobs import JobRow
from query_api.queries.timeline import EventRow
from query_api.resources import Resources
from query_api.sealed import SealedText
from query_api.streams import HEARTBEAT, sse
from query_api.waiting import read_at_least

EVENTS_IN_READ_MAX: Final = 500
HEARTBEAT_SECONDS: Final = 15.0
STREAM_SECONDS_MAX: Final = 600.0
"""Then the client connects anew, and shows that its token still counts."""
RETRY: Final = b"retry: 1000\n\n"
PROGRESS: Final = "progress"

Changing = asyncio.Task[Applied[JobRow] | None]


class Following:
    """One stream; see above."""

    def __init__(self, resources: Resources, job: JobRow, after: int) -> None:
        """Events up to the position `after` are not sent."""
        self._resources = resources
        self._job = job
        self._after = after
        self._version = 0
        self._ends_at = time.monotonic() + STREAM_SECONDS_MAX

    async def messages(self) -> AsyncIterator[bytes]:
        """What to send, until the job has ended or the stream has to."""
        resources, job = self._resources, self._job
        text = SealedText(await resources.history.seal(job.job_id))
        async with resources.progress.follow(job.tenant, job.job_id) as latest:
            yield RETRY
            while True:
                async for message in self._new_events(text):
                    yield message
                if JobStatus(self._job.status).is_final:
                    return
                async for message in self._until_changed(latest):
                    yield message
                if self._is_over:
                    return

    @property
    def _is_over(self) -> bool:
        return self._resources.watch.is_ending or time.monotonic() > self._ends_at

    async def _new_events(self, text: SealedText) -> AsyncIterator[bytes]:
        while events := await self._read():
            for event in events:
                self._version = event.version
                if event.position > self._after:
                    data = event_view(event, text).model_dump_json().encode()
                    yield sse(data, position=event.position)

    async def _read(self) -> Sequence[EventRow]:
        """The events after those that were read, at least up to what the job's row shows."""
        reader, job = self._resources.reader, self._job
        answer = await read_at_least(
            self._resources.positions,
            timeline.PROJECTIONS,
            job.position,
            lambda: timeline.list_events(reader, job.job_id, self._version, EVENTS_IN_READ_MAX),
        )
        return answer.found

    async def _until_changed(self, latest: Latest) -> AsyncIterator[bytes]:
        """Progress and signs of life, until the job has changed or the stream is over."""
        changing = self._changing()
        try:
            while not self._is_over:
                telling = asyncio.create_task(latest.told.wait())
                await asyncio.wait({changing, telling}, return_when=asyncio.FIRST_COMPLETED)
                telling.cancel()
                if changing.done():
                    changed = changing.result()
                    if changed is not None:
                        self._job = changed.found
                        return
                    yield HEARTBEAT
                    changing = self._changing()
                elif (progress := latest.take()) is not None:
                    yield sse(progress.model_dump_json().encode(), event=PROGRESS)
        finally:
            changing.cancel()

    def _changing(self) -> Changing:
        # One for many words of progress: each asks the database whether the job has changed.
        watch, job = self._resources.watch, self._job
        return asyncio.create_task(
            watch.next_version(job.job_id, max(self._version, job.version), HEARTBEAT_SECONDS)
        )
