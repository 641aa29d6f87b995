"""What a principal may do to what: one question per function, asked by every handler first."""

from command_api.commands import Asked
from command_api.errors import Forbidden
from events.contracts.values import Origin
from events.domain.errors import JobNotFound, ScheduleNotFound, WorkflowNotFound
from events.domain.job import Job
from events.domain.schedule import Schedule, ScheduleStatus
from events.domain.workflow import Workflow
from infrastructure.clock import Clock
from infrastructure.principals import Principal, Role


def require(principal: Principal, role: Role) -> None:
    """Raise Forbidden unless the principal may do what this role may."""
    if not principal.role.allows(role):
        raise Forbidden


def owner_id(principal: Principal) -> str:
    """The principal as facts name owners and actors: opaque, and never used again."""
    return f"user:{principal.user_id}"


def require_job(principal: Principal, job: Job) -> None:
    """Raise JobNotFound unless it is the principal's own, or of the tenant that he operates.

    Not Forbidden: that would tell that the job is there.
    """
    is_own = job.owner == owner_id(principal)
    if job.tenant != principal.tenant or not (is_own or principal.role.allows(Role.OPERATOR)):
        raise JobNotFound


def require_workflow(principal: Principal, workflow: Workflow) -> None:
    """The same for workflows; raises WorkflowNotFound."""
    is_own = workflow.owner == owner_id(principal)
    is_seen = is_own or principal.role.allows(Role.OPERATOR)
    if workflow.tenant != principal.tenant or not is_seen:
        raise WorkflowNotFound


def require_schedule(principal: Principal, schedule: Schedule) -> None:
    """Raise ScheduleNotFound unless it is there, and the principal may steer it."""
    is_own = schedule.owner == owner_id(principal)
    may = schedule.tenant == principal.tenant and (is_own or principal.role.allows(Role.OPERATOR))
    if not may or schedule.status is ScheduleStatus.DELETED:
        raise ScheduleNotFound


def origin(command: Asked, command_id: str, clock: Clock, *, began: str | None = None) -> Origin:
    """The envelope of what a command leads to; `began` is the request that began the walk."""
    return Origin(
        tenant=command.principal.tenant,
        actor=owner_id(command.principal),
        command_id=command_id,
        correlation_id=began or command.request_id,
        causation_id=command.request_id,
        at=clock.now(),
    )
