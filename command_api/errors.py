"""What handlers refuse besides what the aggregates do; each docstring is the default message."""

from collections.abc import Iterable
from typing import Self

from events.contracts.bulk import BulkAction
from events.contracts.values import JobStatus
from events.domain.errors import DomainError, NotFound


class Forbidden(DomainError):
    """Your role does not allow this."""

    code = "FORBIDDEN"


class InvalidOptions(DomainError):
    """The options do not fit the tool."""

    code = "INVALID_OPTIONS"


class InvalidInputs(DomainError):
    """The tool does not take this number of files."""

    code = "INVALID_INPUTS"


class InputsTooLarge(DomainError):
    """The input files are too large together."""

    code = "INPUTS_TOO_LARGE"


class UnsupportedMediaType(DomainError):
    """The tool does not take files of this type."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class OutputNotFound(NotFound):
    """The job has no such output."""

    code = "OUTPUT_NOT_FOUND"


class InvalidSchedule(DomainError):
    """The schedule makes no sense."""

    code = "INVALID_SCHEDULE"


class RunAtPast(DomainError):
    """The time to run lies in the past."""

    code = "RUN_AT_PAST"


class TimeoutTooLong(DomainError):
    """The tool does not run as long as that."""

    code = "TIMEOUT_TOO_LONG"


class RunAtTooFar(DomainError):
    """The time to run lies too far in the future."""

    code = "RUN_AT_TOO_FAR"


class BadFilter(DomainError):
    """The filter can find nothing."""

    code = "BAD_FILTER"

    @classmethod
    def of_statuses(cls, action: BulkAction, possible: Iterable[JobStatus]) -> Self:
        """It names a state in which the action cannot be."""
        names = ", ".join(sorted(status.value for status in possible))
        message = f"Only jobs that are {names} can be meant by {action.value}."
        error = {"field": "filter.status", "message": message, "code": cls.code}
        return cls(message, errors=[error])


class IdempotencyConflict(DomainError):
    """This Idempotency-Key was used for another request."""

    code = "IDEMPOTENCY_CONFLICT"


class InvalidWorkflow(DomainError):
    """The workflow cannot be run as it is."""

    code = "INVALID_WORKFLOW"
