"""What the rules refuse, and why: each docstring is the message a client may see."""

from typing import Any, ClassVar


class DomainError(Exception):
    """The request is against the rules."""

    code: ClassVar[str] = "REFUSED"

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.details = details
        super().__init__(self.message)


class NotFound(DomainError):
    """There is nothing of this name here."""

    code = "NOT_FOUND"


class JobNotFound(NotFound):
    """There is no such job."""

    code = "JOB_NOT_FOUND"


class ToolNotFound(NotFound):
    """There is no tool of this name."""

    code = "TOOL_NOT_FOUND"


class ToolUnavailable(DomainError):
    """No worker can run this tool at the moment."""

    code = "TOOL_UNAVAILABLE"


class UploadNotFound(NotFound):
    """There is no such upload, or it has expired."""

    code = "UPLOAD_NOT_FOUND"


class ScheduleNotFound(NotFound):
    """There is no such schedule."""

    code = "SCHEDULE_NOT_FOUND"


class ScheduleIsPaused(DomainError):
    """The schedule is paused already."""

    code = "SCHEDULE_IS_PAUSED"


class ScheduleIsActive(DomainError):
    """The schedule is not paused."""

    code = "SCHEDULE_IS_ACTIVE"


class ScheduleNotDue(DomainError):
    """No time of the schedule has come."""

    code = "SCHEDULE_NOT_DUE"


class JobIsFinal(DomainError):
    """The job has already ended."""

    code = "JOB_IS_FINAL"


class JobIsNotFinal(DomainError):
    """The job has not ended yet."""

    code = "JOB_IS_NOT_FINAL"


class BulkNotFound(NotFound):
    """There is no such bulk operation."""

    code = "BULK_NOT_FOUND"


class BulkIsFinal(DomainError):
    """The bulk operation has already ended."""

    code = "BULK_IS_FINAL"


class JobOfWorkflow(DomainError):
    """The job belongs to a workflow, which takes it for ended: try the workflow again instead."""

    code = "JOB_OF_WORKFLOW"


class JobNotClaimable(DomainError):
    """The job is not waiting for a worker."""

    code = "JOB_NOT_CLAIMABLE"


class JobNotWaiting(DomainError):
    """The job is running; its priority matters no more."""

    code = "JOB_NOT_WAITING"


class StaleLease(DomainError):
    """The lease under which this outcome is reported is no longer valid."""

    code = "STALE_LEASE"


class JobNotDue(DomainError):
    """The job is neither scheduled nor waiting for a retry."""

    code = "JOB_NOT_DUE"


class JobNotUnique(DomainError):
    """Another job holds the key that this one needs."""

    code = "JOB_NOT_UNIQUE"


class JobMayWait(DomainError):
    """The job is not waiting for its first start, or may still wait."""

    code = "JOB_MAY_WAIT"


class ResultNotExpirable(DomainError):
    """The job has no result that could expire."""

    code = "RESULT_NOT_EXPIRABLE"


class ResultExpired(DomainError):
    """The result was deleted when its retention ended; submit the job again."""

    code = "RESULT_EXPIRED"


class WorkflowNotFound(NotFound):
    """There is no such workflow."""

    code = "WORKFLOW_NOT_FOUND"


class StepNotFound(DomainError):
    """The workflow has no such step."""

    code = "STEP_NOT_FOUND"


class StepNotReady(DomainError):
    """The step waits for others, or was started before."""

    code = "STEP_NOT_READY"


class WorkflowTooLarge(DomainError):
    """With the jobs of this step the workflow has too many."""

    code = "WORKFLOW_TOO_LARGE"


class WorkflowIsFinal(DomainError):
    """The workflow has already ended."""

    code = "WORKFLOW_IS_FINAL"


class WorkflowIsNotFinal(DomainError):
    """The workflow has not ended yet."""

    code = "WORKFLOW_IS_NOT_FINAL"


class QueueIsPaused(DomainError):
    """The queue is paused already."""

    code = "QUEUE_IS_PAUSED"


class QueueIsNotPaused(DomainError):
    """The queue is not paused."""

    code = "QUEUE_IS_NOT_PAUSED"


class LimitNotFound(NotFound):
    """There is no such limit."""

    code = "LIMIT_NOT_FOUND"
