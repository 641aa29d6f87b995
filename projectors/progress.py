"""Hears how far running jobs are, as workers tell it over core NATS; the latest of each counts.

Progress is never stored: what is lost on the way is told again in a moment.
"""

from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

import structlog
from nats.aio.msg import Msg
from pydantic import BaseModel, Field, ValidationError

from events.contracts.subjects import JOB_PROGRESS
from projectors.listening import Listening
from projectors.undecoded import undecoded

JOBS_WAITING_MAX: Final = 5_000
MESSAGE_CHARACTERS_MAX: Final = 500

log = structlog.get_logger(__name__)


class Progress(BaseModel):
    """What a worker says of one attempt."""

    attempt: int
    percent: float = Field(ge=0, le=100)
    message: str = Field(default="", max_length=MESSAGE_CHARACTERS_MAX)


class ProgressHeard:
    """The latest progress of each job that was not yet written."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self.wake = wake
        self._told: dict[UUID, tuple[int, float, str]] = {}

    def take(self) -> Mapping[UUID, tuple[int, float, str]]:
        """Hand over what was heard."""
        told, self._told = self._told, {}
        return told

    async def hear(self, message: Msg) -> None:
        """Take note of one message; one that cannot be read is ignored."""
        try:
            job_id = UUID(message.subject.rsplit(".", 1)[-1])
            progress = Progress.model_validate_json(message.data)
        except (ValueError, ValidationError):
            log.warning("progress_unreadable", subject=message.subject)
            return
        if len(self._told) < JOBS_WAITING_MAX or job_id in self._told:
            self._told[job_id] = (progress.attempt, progress.percent, progress.message)
            self.wake()


def listen(listening: Listening, heard: ProgressHeard) -> None:
    """Hear the progress of all jobs as soon as there is a connection."""
    subscriber = listening.broker.subscriber(f"{JOB_PROGRESS}.>", decoder=undecoded)
    subscriber(heard.hear)
    listening.always.append(subscriber)
