"""Accepts bulk operations, waits for what a dry run has counted, and calls operations off.

Nothing is done to a job here: the operation is in the log, and the processors carry it out.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson

from command_api import idempotency
from command_api.access import origin, owner_id, require
from command_api.commands import BulkJobs, CancelBulk
from command_api.errors import BadFilter
from events.contracts.bulk import BulkStatus
from events.contracts.sealed_fields import LABELS_FIELD
from events.contracts.values import SealedText
from events.domain.bulk import STATUSES_MEANT, STATUSES_OF, BulkFilter, BulkOperation
from events.domain.errors import BulkNotFound, NotFound
from events.store.repository import Answer, Command, CommandRepeated, Repository
from events.store.sealing import Seal, Sealer
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from infrastructure.principals import Principal, Role

PREVIEW_SECONDS_MAX: Final = 10.0
PREVIEW_STEP_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class AcceptedBulk:
    """What became of a request about many jobs."""

    bulk: BulkOperation
    position: int
    is_repeat: bool = False


class BulkJobsHandler:
    """Handles BulkJobs and CancelBulk."""

    def __init__(self, repository: Repository, sealer: Sealer, clock: Clock) -> None:
        self._repository = repository
        self._sealer = sealer
        self._clock = clock

    async def request(self, command: BulkJobs) -> AcceptedBulk:
        """Record the operation, or find that it was; a dry run is waited for.

        Raises Forbidden, BadFilter, IdempotencyConflict, LogUnavailable, OutcomeUnknown.
        """
        require(command.principal, Role.CLIENT)
        accepted = await self._recorded(command, self._filter(command))
        if not command.dry_run:
            return accepted
        return await self._counted(accepted)

    async def cancel(self, command: CancelBulk) -> AcceptedBulk:
        """Call an operation off; raises BulkNotFound, BulkIsFinal, LogUnavailable."""
        require(command.principal, Role.CLIENT)

        def decide(bulk: BulkOperation) -> None:
            _require_bulk(command.principal, bulk)
            bulk.cancel(origin(command, str(uuid7()), self._clock, began=bulk.correlation_id))

        try:
            bulk, saved = await self._repository.change(BulkOperation, command.bulk_id, decide)
        except NotFound:
            raise BulkNotFound from None
        return AcceptedBulk(bulk, saved.position)

    async def _recorded(self, command: BulkJobs, wanted: BulkFilter) -> AcceptedBulk:
        bulk_id = uuid7()
        recorded = self._command(command, wanted, bulk_id)
        if recorded is not None:
            answer = await self._repository.answer_to(recorded.id)
            if answer is not None:
                return await self._first_answer(answer, recorded)
        principal = command.principal
        seal, key = self._sealer.new_key(bulk_id, principal.tenant, owner_id(principal))
        command_id = str(recorded.id if recorded is not None else bulk_id)
        bulk = BulkOperation.request(
            bulk_id,
            command.action,
            wanted,
            _sealed(seal, command.filter.labels),
            origin(command, command_id, self._clock),
            dry_run=command.dry_run,
        )
        try:
            saved = await self._repository.save(bulk, command=recorded, keys=(key,))
        except CommandRepeated as repeated:
            assert recorded is not None  # noqa: S101
            return await self._first_answer(repeated.answer, recorded)
        return AcceptedBulk(bulk, saved.position)

    async def _first_answer(self, answer: Answer, recorded: Command) -> AcceptedBulk:
        idempotency.require_same(answer, recorded)
        bulk = await self._repository.load(BulkOperation, answer.originator_id)
        return AcceptedBulk(bulk, answer.position, is_repeat=True)

    async def _counted(self, accepted: AcceptedBulk) -> AcceptedBulk:
        """The operation as it ended, if it does so in time."""
        bulk = accepted.bulk
        for _ in range(round(PREVIEW_SECONDS_MAX / PREVIEW_STEP_SECONDS)):
            if bulk.status is not BulkStatus.RUNNING:
                break
            await asyncio.sleep(PREVIEW_STEP_SECONDS)
            bulk = await self._repository.load(BulkOperation, bulk.id)
        return AcceptedBulk(bulk, accepted.position, accepted.is_repeat)

    def _filter(self, command: BulkJobs) -> BulkFilter:
        """The filter as the aggregate takes it; a client's own jobs are all that it may name."""
        given, principal = command.filter, command.principal
        possible = STATUSES_OF[command.action]
        if not possible.issuperset(given.statuses):
            raise BadFilter.of_statuses(command.action, possible)
        sees_all = principal.role.allows(Role.OPERATOR)
        return BulkFilter(
            statuses=tuple(given.statuses) or tuple(STATUSES_MEANT[command.action]),
            owner=None if sees_all else owner_id(principal),
            tool=given.tool,
            queue=given.queue,
            error_code=given.error_code,
            label_tokens=[
                self._sealer.label_token(principal.tenant, name, value)
                for name, value in sorted(given.labels.items())
            ],
            created_after=given.created_after,
            created_before=given.created_before,
        )

    def _command(self, command: BulkJobs, wanted: BulkFilter, bulk_id: UUID) -> Command | None:
        if command.idempotency_key is None:
            return None
        principal = command.principal
        asked_for = ["bulk", command.action.value, command.dry_run, wanted.as_json()]
        return Command(
            idempotency.command_id(principal, command.idempotency_key),
            principal.tenant,
            idempotency.fingerprint(self._sealer, principal.tenant, asked_for),
            bulk_id,
        )


def _sealed(seal: Seal, labels: Mapping[str, str]) -> SealedText | None:
    return seal.seal(LABELS_FIELD, orjson.dumps(dict(labels)).decode()) if labels else None


def _require_bulk(principal: Principal, bulk: BulkOperation) -> None:
    """Raise BulkNotFound unless it is the principal's own, or of the tenant that he operates."""
    is_own = bulk.owner == owner_id(principal)
    if bulk.tenant != principal.tenant or not (is_own or principal.role.allows(Role.OPERATOR)):
        raise BulkNotFound
