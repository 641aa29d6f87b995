"""Sets and removes limits of the tenant; the dispatcher keeps them."""

from dataclasses import dataclass
from uuid import UUID

from command_api.access import origin, owner_id, require
from command_api.commands import RemoveLimit, SetLimit
from command_api.job_terms import limit_token
from events.contracts.limit import LimitScope, limit_id
from events.contracts.sealed_fields import SUBJECT_FIELD
from events.contracts.values import Origin
from events.domain.errors import LimitNotFound, NotFound
from events.domain.limit import Limit
from events.store.repository import DECISIONS_MAX, Repository, StreamConflict
from events.store.sealing import Sealer, WrappedKey
from infrastructure.clock import Clock
from infrastructure.ids import uuid7
from infrastructure.principals import Role


@dataclass(frozen=True, slots=True)
class SteeredLimit:
    """What became of a limit."""

    limit_id: UUID
    position: int


class SetLimitHandler:
    """Handles SetLimit and RemoveLimit."""

    def __init__(self, repository: Repository, sealer: Sealer, clock: Clock) -> None:
        self._repository = repository
        self._sealer = sealer
        self._clock = clock

    async def set(self, command: SetLimit) -> SteeredLimit:
        """Let it be the limit from now on; raises Forbidden, LogUnavailable, …."""
        require(command.principal, Role.OPERATOR)
        for _ in range(DECISIONS_MAX):
            at = origin(command, str(uuid7()), self._clock)
            subject = self._subject(command, at)
            keys: tuple[WrappedKey, ...] = ()
            try:
                limit = await self._repository.load(
                    Limit, limit_id(at.tenant, command.scope, subject)
                )
            except NotFound:
                limit, keys = self._introduced(command, subject, at)
            limit.set(command.bounds, at)
            try:
                saved = await self._repository.save(limit, keys=keys)
            except StreamConflict:
                continue
            return SteeredLimit(limit.id, saved.position)
        raise StreamConflict(StreamConflict.__doc__)

    async def remove(self, command: RemoveLimit) -> SteeredLimit:
        """Let there be no such limit; raises Forbidden, LimitNotFound, LogUnavailable."""
        require(command.principal, Role.OPERATOR)
        at = origin(command, str(uuid7()), self._clock)

        def decide(limit: Limit) -> None:
            if limit.tenant != at.tenant:
                raise LimitNotFound
            limit.remove(at)

        try:
            limit, saved = await self._repository.change(Limit, command.limit_id, decide)
        except NotFound:
            raise LimitNotFound from None
        return SteeredLimit(limit.id, saved.position)

    def _subject(self, command: SetLimit, at: Origin) -> str:
        if command.scope is LimitScope.KEY:
            return limit_token(self._sealer, at.tenant, command.name) or ""
        return command.name or ""

    def _introduced(
        self, command: SetLimit, subject: str, at: Origin
    ) -> tuple[Limit, tuple[WrappedKey, ...]]:
        """A limit that is new; a limit key may say something about a person, so it is sealed."""
        if command.scope is not LimitScope.KEY or command.name is None:
            return Limit.introduce(command.scope, subject, None, at), ()
        subject_id = limit_id(at.tenant, command.scope, subject)
        seal, key = self._sealer.new_key(subject_id, at.tenant, owner_id(command.principal))
        text = seal.seal(SUBJECT_FIELD, command.name)
        return Limit.introduce(command.scope, subject, text, at), (key,)
