"""Accepts a workflow: its plan is judged as a whole, its files become its own.

Whatever is refused leaves nothing behind; whatever is accepted is in the log, its files durable,
before the answer goes out. A request repeated under its key gets the first answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from command_api import idempotency
from command_api.access import origin, owner_id, require
from command_api.workflow_commands import StepRequest, SubmitWorkflow
from command_api.workflow_plans import WorkflowPlans, WorkflowSeals
from events.contracts.sealed_fields import LABELS_FIELD, NAME_FIELD
from events.contracts.workflow import WorkflowKind, WorkflowStatus
from events.domain.workflow import Workflow, WorkflowRequest
from events.domain.workflow_plan import StepPlan
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.repository import Answer, Command, CommandRepeated, Repository
from events.store.sealing import Seal, Sealer, secrets_id
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from infrastructure.principals import Role

FIELD_OF: Final = {WorkflowKind.WORKFLOW: "steps", WorkflowKind.BATCH: "jobs"}
"""What the steps are called in the document."""

_STEPS: Final = TypeAdapter(tuple[StepRequest, ...])


@dataclass(frozen=True, slots=True)
class SubmittedWorkflow:
    """What became of a request."""

    workflow_id: UUID
    position: int
    status: WorkflowStatus
    is_repeat: bool = False


class SubmitWorkflowHandler:
    """Handles SubmitWorkflow."""

    def __init__(
        self, repository: Repository, plans: WorkflowPlans, sealer: Sealer, clock: Clock
    ) -> None:
        self._repository = repository
        self._plans = plans
        self._sealer = sealer
        self._clock = clock

    async def __call__(self, command: SubmitWorkflow, blobs: ProvisionalBlobs) -> SubmittedWorkflow:
        """Record the workflow, or find that it was recorded before.

        Raises DomainError for what is refused, LogUnavailable, OutcomeUnknown.
        """
        require(command.principal, Role.CLIENT)
        workflow_id = uuid7()
        recorded = self._recorded(command, workflow_id)
        if recorded is not None:
            answer = await self._repository.answer_to(recorded.id)
            if answer is not None:
                return _first_answer(answer, recorded)
        owner = owner_id(command.principal)
        tenant = command.principal.tenant
        seal, key = self._sealer.new_key(workflow_id, tenant, owner)
        secrets, own_key = self._sealer.new_key(secrets_id(workflow_id), tenant, owner)
        steps = await self._plans.plan(
            command.principal,
            command.steps,
            WorkflowSeals(seal, secrets),
            blobs,
            field=FIELD_OF[command.kind],
        )
        keys = (key, own_key) if any(step.secrets for step in steps) else (key,)
        at = origin(command, str(recorded.id if recorded else workflow_id), self._clock)
        workflow = Workflow.submit(workflow_id, self._request(command, steps, seal), at)
        try:
            with blobs.recording():
                saved = await self._repository.save(workflow, command=recorded, keys=keys)
        except CommandRepeated as repeated:
            # It came in at the same moment as this one.
            assert recorded is not None  # noqa: S101
            return _first_answer(repeated.answer, recorded)
        return SubmittedWorkflow(workflow_id, saved.position, workflow.status)

    def _request(
        self, command: SubmitWorkflow, steps: Sequence[StepPlan], seal: Seal
    ) -> WorkflowRequest:
        labels = command.labels
        text = seal.seal(LABELS_FIELD, orjson.dumps(labels).decode()) if labels else None
        tenant = command.principal.tenant
        return WorkflowRequest(
            owner=owner_id(command.principal),
            steps=steps,
            kind=command.kind,
            name=None if command.name is None else seal.seal(NAME_FIELD, command.name),
            on_failure=command.on_failure,
            labels=text,
            label_tokens=[
                self._sealer.label_token(tenant, *label) for label in sorted(labels.items())
            ],
        )

    def _recorded(self, command: SubmitWorkflow, workflow_id: UUID) -> Command | None:
        if command.idempotency_key is None:
            return None
        principal = command.principal
        asked_for = [
            command.kind,
            command.name,
            command.on_failure,
            dict(command.labels),
            _STEPS.dump_python(command.steps, mode="json"),
        ]
        return Command(
            idempotency.command_id(principal, command.idempotency_key),
            principal.tenant,
            idempotency.fingerprint(self._sealer, principal.tenant, asked_for),
            workflow_id,
        )


def _first_answer(answer: Answer, recorded: Command) -> SubmittedWorkflow:
    idempotency.require_same(answer, recorded)
    # As the first answer was: a workflow runs from the moment it is accepted.
    return SubmittedWorkflow(
        answer.originator_id, answer.position, WorkflowStatus.RUNNING, is_repeat=True
    )
