"""What can go wrong while answering, and how each failure looks over HTTP: the one error table."""

from typing import Any

from infrastructure.batching import Overloaded
from infrastructure.http.problems import ErrorTable, Problem

RETRY_AFTER_SECONDS = "1"


class QueryError(Exception):
    """The query could not be answered."""

    STATUS = 500
    CODE = "INTERNAL_ERROR"
    IS_TRANSIENT = False

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or (type(self).__doc__ or "").partition("\n")[0]
        self.details = details or None
        super().__init__(self.message)


class Unavailable(QueryError):
    """The database cannot answer now; try again shortly."""

    STATUS = 503
    CODE = "SERVICE_UNAVAILABLE"
    IS_TRANSIENT = True


class ProjectionBehind(QueryError):
    """The read models have not reached the position that was asked for; try again shortly."""

    STATUS = 503
    CODE = "PROJECTION_BEHIND"
    IS_TRANSIENT = True


class JobNotFound(QueryError):
    """There is no such job."""

    STATUS = 404
    CODE = "JOB_NOT_FOUND"


class BulkNotFound(QueryError):
    """There is no such bulk operation."""

    STATUS = 404
    CODE = "BULK_NOT_FOUND"


class ScheduleNotFound(QueryError):
    """There is no such schedule."""

    STATUS = 404
    CODE = "SCHEDULE_NOT_FOUND"


class WorkflowNotFound(QueryError):
    """There is no such workflow."""

    STATUS = 404
    CODE = "WORKFLOW_NOT_FOUND"


class ToolNotFound(QueryError):
    """There is no such tool."""

    STATUS = 404
    CODE = "TOOL_NOT_FOUND"


class AttemptLogNotFound(QueryError):
    """The attempt has written nothing, or what it wrote is not kept any more."""

    STATUS = 404
    CODE = "ATTEMPT_LOG_NOT_FOUND"


class OutputNotFound(QueryError):
    """The job has no output of this name."""

    STATUS = 404
    CODE = "OUTPUT_NOT_FOUND"


class OutputsTooLarge(QueryError):
    """The outputs are too large for one archive; download them one by one."""

    STATUS = 413
    CODE = "OUTPUTS_TOO_LARGE"


class ResultNotReady(QueryError):
    """The job has not succeeded yet."""

    STATUS = 409
    CODE = "RESULT_NOT_READY"


class ResultExpired(QueryError):
    """The outputs were kept for as long as promised and are deleted now."""

    STATUS = 410
    CODE = "RESULT_EXPIRED"


class PastNotFound(QueryError):
    """The job did not exist at that time or version."""

    STATUS = 404
    CODE = "PAST_NOT_FOUND"


class InvalidCursor(QueryError):
    """The cursor was not made by this API for this query."""

    STATUS = 422
    CODE = "INVALID_CURSOR"


class BlobMissing(QueryError):
    """The bytes of this output cannot be read."""

    STATUS = 500
    CODE = "OUTPUT_UNREADABLE"


class TooManyStreams(QueryError):
    """Too many streams are open already; close one, or try again later."""

    STATUS = 429
    CODE = "TOO_MANY_STREAMS"
    IS_TRANSIENT = True


class Forbidden(QueryError):
    """Your role may not see this."""

    STATUS = 403
    CODE = "FORBIDDEN"


def _problem(error: QueryError) -> Problem:
    headers = {"Retry-After": RETRY_AFTER_SECONDS} if error.IS_TRANSIENT else None
    return Problem(error.STATUS, error.CODE, error.message, details=error.details, headers=headers)


def _overloaded(_: Overloaded) -> Problem:
    return _problem(Unavailable("Too many callers wait here already; try again shortly."))


ERRORS: ErrorTable = {QueryError: _problem, Overloaded: _overloaded}
