"""Tells whoever watches how far a job has come: often enough to be lively, and never stored."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final

import orjson

from events.contracts.subjects import progress_subject
from events.domain.job import Job

PER_SECOND_MAX: Final = 5
MESSAGE_CHARACTERS_MAX: Final = 200

Ring = Callable[[str, bytes], None]
"""Publishes at once or not at all; see `Broker.ring`."""


class ProgressTold:
    """What a tool calls with its progress; it may do so as often as it likes, from any thread."""

    def __init__(self, job: Job, ring: Ring) -> None:
        self._job = job
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._next_at = 0.0

    def __call__(self, fraction: float, message: str) -> None:
        """Tell it, unless the last time was a moment ago."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + 1 / PER_SECOND_MAX
        if threading.get_ident() == self._thread:
            self._tell(fraction, message)
        else:
            self._loop.call_soon_threadsafe(self._tell, fraction, message)

    def _tell(self, fraction: float, message: str) -> None:
        body = {
            "percent": round(100 * min(max(fraction, 0.0), 1.0), 1),
            "message": message[:MESSAGE_CHARACTERS_MAX],
            "attempt": self._job.attempt,
        }
        self._ring(progress_subject(self._job.tenant, str(self._job.id)), orjson.dumps(body))
