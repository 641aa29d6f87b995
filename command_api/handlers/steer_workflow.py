"""Cancels workflows and tries them again; their jobs follow, by the manager of workflows."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from command_api.access import origin, require, require_workflow
from command_api.commands import Asked
from command_api.workflow_commands import CancelWorkflow, RetryWorkflow
from events.contracts.values import Origin
from events.contracts.workflow import WorkflowStatus
from events.domain.errors import NotFound, WorkflowNotFound
from events.domain.workflow import Workflow
from events.store.repository import Repository
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from infrastructure.principals import Role


@dataclass(frozen=True, slots=True)
class SteeredWorkflow:
    """What became of a workflow."""

    workflow_id: UUID
    position: int
    status: WorkflowStatus


class SteerWorkflowHandler:
    """Handles CancelWorkflow and RetryWorkflow."""

    def __init__(self, repository: Repository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock

    async def cancel(self, command: CancelWorkflow) -> SteeredWorkflow:
        """Call it off; raises Forbidden, WorkflowNotFound, WorkflowIsFinal, LogUnavailable."""
        return await self._change(command, command.workflow_id, Workflow.cancel)

    async def retry(self, command: RetryWorkflow) -> SteeredWorkflow:
        """Run it again; raises Forbidden, WorkflowNotFound, StepNotFound, WorkflowIsFinal, …."""

        def reopen(workflow: Workflow, at: Origin) -> None:
            workflow.reopen(command.from_step, at, whole_steps=command.whole_steps)

        return await self._change(command, command.workflow_id, reopen)

    async def _change(
        self, command: Asked, workflow_id: UUID, act: Callable[[Workflow, Origin], None]
    ) -> SteeredWorkflow:
        require(command.principal, Role.CLIENT)

        def decide(workflow: Workflow) -> None:
            require_workflow(command.principal, workflow)
            act(workflow, origin(command, str(uuid7()), self._clock, began=workflow.correlation_id))

        try:
            workflow, saved = await self._repository.change(Workflow, workflow_id, decide)
        except NotFound:
            raise WorkflowNotFound from None
        return SteeredWorkflow(workflow_id, saved.position, workflow.status)
