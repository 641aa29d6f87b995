"""Every fact under its permanent name: the closed registry that readers resolve topics with.

A name may be added, never changed or removed: history was written under it. The library's own
lookup imports whatever module a row names; this one knows only what stands here.
"""

from eventsourcing.utils import register_topic

from events.contracts import (
    bulk,
    job,
    limit,
    queue,
    reservation,
    result,
    schedule,
    tool,
    upload,
    workflow,
)
from events.contracts.fact import AnyFact

FACTS: tuple[type[AnyFact], ...] = (
    job.JobSubmitted,
    job.AttemptStarted,
    job.AttemptSucceeded,
    job.ResultReused,
    job.AttemptFailed,
    job.AttemptExpired,
    job.AttemptHandedBack,
    job.JobDue,
    job.JobWaitExpired,
    job.JobCancelled,
    job.JobReopened,
    job.OutcomeRefused,
    job.JobResultExpired,
    job.JobReprioritised,
    limit.LimitIntroduced,
    limit.LimitSet,
    limit.LimitRemoved,
    queue.QueueIntroduced,
    queue.QueuePaused,
    queue.QueueResumed,
    reservation.KeyReserved,
    reservation.KeyTakenOver,
    result.ResultSought,
    result.ResultSoughtAnew,
    schedule.ScheduleCreated,
    schedule.ScheduleChanged,
    schedule.SchedulePaused,
    schedule.ScheduleResumed,
    schedule.ScheduleFired,
    schedule.ScheduleSkipped,
    schedule.ScheduleDeleted,
    tool.ToolIntroduced,
    tool.ToolOffered,
    upload.UploadReceived,
    upload.UploadExpired,
    workflow.WorkflowSubmitted,
    workflow.StepStarted,
    workflow.StepJobsEnded,
    workflow.StepEnded,
    workflow.StepsSkipped,
    workflow.WorkflowSucceeded,
    workflow.WorkflowFailed,
    workflow.WorkflowCancelled,
    workflow.WorkflowReopened,
    bulk.BulkRequested,
    bulk.BulkProgressed,
    bulk.BulkFinished,
    bulk.BulkCancelled,
)

CLASS_OF: dict[str, type[AnyFact]] = {fact.TOPIC: fact for fact in FACTS}
"""Topic → class."""

for _fact in FACTS:
    # The library asks its own registry before it lets an aggregate trigger an event.
    register_topic(_fact.TOPIC, _fact)
