"""The facts of a bulk operation: many jobs cancelled or tried again by one request.

The facts of its jobs are their own (`JobCancelled`, `JobReopened`); each names the operation as its
cause, and is recorded in one append with the progress of the operation.
"""

from enum import StrEnum
from typing import Any, ClassVar

from events.contracts.fact import Fact, FirstFact


class BulkAction(StrEnum):
    """What is done to the jobs."""

    CANCEL = "cancel"
    RETRY = "retry"


class BulkStatus(StrEnum):
    """Where a bulk operation is in its life."""

    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class BulkRequested(FirstFact):
    """Somebody asked for something to be done to all jobs that meet a filter."""

    TOPIC: ClassVar[str] = "magictoolbox.bulk.requested"

    owner: str
    """The user who asked, as an opaque id."""
    action: str
    """`cancel` or `retry`."""
    filter: dict[str, Any]
    """Of a `BulkFilter`: what is not set is null or empty."""
    labels: str | None
    """Sealed: the labels of the filter as a JSON object, for people; the filter has tokens."""
    dry_run: bool
    """Whether the jobs are only counted."""


class BulkProgressed(Fact):
    """Some more jobs were dealt with; their own facts stand beside this one."""

    TOPIC: ClassVar[str] = "magictoolbox.bulk.progressed"

    cursor: str
    """The id of the last job that was looked at; it goes on after that."""
    matched: int
    """Jobs so far that met the filter when it was their turn."""
    changed: int
    """Those of them that were cancelled or reopened."""
    skipped: int
    """Jobs so far that had met it at the request, and no more when it was their turn."""


class BulkFinished(Fact):
    """Every job that there was at the request has been looked at."""

    TOPIC: ClassVar[str] = "magictoolbox.bulk.finished"

    matched: int
    changed: int
    skipped: int


class BulkCancelled(Fact):
    """Somebody called the operation off; what it has done to jobs stays done."""

    TOPIC: ClassVar[str] = "magictoolbox.bulk.cancelled"
