"""Tells whoever watches how far a job has come: often enough to be lively, and never stored."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final

import orjson

from events.contracts.subjects import progress_subject
from events.domain.job import Job

PER_SECOND_MAX: Final = 8
MESSAGE_CHARACTERS_MAX: Final = 200

Ring = Callable[[str, bytes], None]
"""Publishes at once or not at all; see `Broker.ring`."""


class ProgressTold:
    """What a tool calls with its progress; it may do so as often as it likes, from any thread.

    What is told too soon after the last word is told a moment later, unless something newer is.
    """

    def __init__(self, job: Job, ring: Ring) -> None:
        self._job = job
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._next_at = 0.0
        self._latest = (0.0, "")
        self._is_planned = False

    def __call__(self, fraction: float, message: str) -> None:
        """Tell it, at once or soon."""
        self._latest = (fraction, message)
        if self._is_planned:
            return
        self._is_planned = True
        if threading.get_ident() == self._thread:
            self._plan()
        else:
            self._loop.call_soon_threadsafe(self._plan)

    def _plan(self) -> None:
        wait = self._next_at - time.monotonic()
        if wait <= 0:
            self._tell()
        else:
            self._loop.call_later(wait, self._tell)

    def _tell(self) -> None:
        self._next_at = time.monotonic() + 1 / PER_SECOND_MAX
        self._is_planned = False
        fraction, message = self._latest
        body = {
            "percent": round(100 * min(max(fraction, 0.0), 1.0), 1),
            "message": message[:MESSAGE_CHARACTERS_MAX],
            "attempt": self._job.attempt,
        }
        self._ring(progress_subject(self._job.tenant, str(self._job.id)), orjson.dumps(body))
