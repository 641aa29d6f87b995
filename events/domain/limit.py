"""The limit: how many jobs of one kind may run at once, or start in a while."""

from dataclasses import dataclass
from typing import ClassVar, Self

from events.contracts import limit as facts
from events.contracts.fact import AnyFact
from events.contracts.limit import LimitScope
from events.contracts.values import Origin, SealedText
from events.domain.aggregate import Aggregate
from events.domain.errors import LimitNotFound


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a limit allows; at least one of the two is set."""

    concurrency: int | None = None
    rate: int | None = None
    per_seconds: float | None = None


class Limit(Aggregate):
    """One limit; its id is known to everybody, see `contracts.limit.limit_id`."""

    TOPIC = "magictoolbox.limit"
    FOLDS: ClassVar[dict[type[AnyFact], str]] = {
        facts.LimitIntroduced: "_introduced",
        facts.LimitSet: "_set",
        facts.LimitRemoved: "_removed",
    }

    class Event(Aggregate.Event):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.limit.event"

    class Created(Event, Aggregate.Created):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.limit.created"

    @classmethod
    def introduce(
        cls, scope: LimitScope, subject: str, subject_text: SealedText | None, origin: Origin
    ) -> Self:
        """Begin the history of a limit."""
        return cls._create(
            facts.LimitIntroduced,
            id=facts.limit_id(origin.tenant, scope, subject),
            scope=scope.value,
            subject=subject,
            subject_text=subject_text,
            **origin.fields(),
        )

    def set(self, bounds: Bounds, origin: Origin) -> None:
        """Let this be the limit."""
        self.trigger_event(
            facts.LimitSet,
            scope=self.scope.value,
            subject=self.subject,
            concurrency=bounds.concurrency,
            rate=bounds.rate,
            per_seconds=bounds.per_seconds,
            **origin.fields(),
        )

    def remove(self, origin: Origin) -> None:
        """Let there be no such limit."""
        if self.bounds is None:
            raise LimitNotFound
        self.trigger_event(
            facts.LimitRemoved, scope=self.scope.value, subject=self.subject, **origin.fields()
        )

    def _introduced(self, fact: facts.LimitIntroduced) -> None:
        self.tenant = fact.tenant
        self.scope = LimitScope(fact.scope)
        self.subject = fact.subject
        self.bounds: Bounds | None = None

    def _set(self, fact: facts.LimitSet) -> None:
        self.bounds = Bounds(fact.concurrency, fact.rate, fact.per_seconds)

    def _removed(self, fact: facts.LimitRemoved) -> None:
        self.bounds = None
