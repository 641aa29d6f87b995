"""The tool: what workers have offered under its name."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Self

from events.contracts import tool as facts
from events.contracts.fact import AnyFact
from events.contracts.values import Origin
from events.domain.aggregate import Aggregate

INPUT_BYTES_MAX: Final = 1024**3
"""Of all inputs of one job together."""
ANYTHING: Final = "*/*"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a worker offers: one version of a tool."""

    version: str
    description: str
    input_formats: list[str]
    output_formats: list[str]
    inputs_min: int
    inputs_max: int
    options_schema: Mapping[str, Any]
    attempts_max: int
    timeout_seconds: float
    available: bool = True
    unavailable_reason: str | None = None
    cacheable: bool = False
    names_matter: bool = True
    retry: dict[str, Any] | None = None
    """See `RetryPolicy.terms`."""

    def takes(self, media_type: str) -> bool:
        """Whether a file of this type may be an input."""
        family = f"{media_type.partition('/')[0]}/*"
        return any(each in (media_type, family, ANYTHING) for each in self.input_formats)

    def takes_number(self, inputs: int) -> bool:
        """Whether a job may have so many inputs."""
        return self.inputs_min <= inputs <= self.inputs_max


class Tool(Aggregate):
    """One tool by name; its id is known to everybody, see `contracts.tool.tool_id`."""

    TOPIC = "magictoolbox.tool"
    FOLDS: ClassVar[dict[type[AnyFact], str]] = {
        facts.ToolIntroduced: "_introduced",
        facts.ToolOffered: "_offered",
    }

    class Event(Aggregate.Event):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.tool.event"

    class Created(Event, Aggregate.Created):
        """See `Aggregate.Event`."""

        TOPIC = "magictoolbox.tool.created"

    @classmethod
    def introduce(cls, name: str, origin: Origin) -> Self:
        """Begin the history of a tool."""
        return cls._create(
            facts.ToolIntroduced, id=facts.tool_id(name), name=name, **origin.fields()
        )

    def offer(self, offer: Offer, origin: Origin) -> bool:
        """Record an offer if it says something new; returns whether it did."""
        if offer == self.offered:
            return False
        self.trigger_event(facts.ToolOffered, **asdict(offer), **origin.fields())
        return True

    def _introduced(self, fact: facts.ToolIntroduced) -> None:
        self.name = fact.name
        self.offered: Offer | None = None

    def _offered(self, fact: facts.ToolOffered) -> None:
        self.offered = Offer(
            version=fact.version,
            description=fact.description,
            input_formats=fact.input_formats,
            output_formats=fact.output_formats,
            inputs_min=fact.inputs_min,
            inputs_max=fact.inputs_max,
            options_schema=fact.options_schema,
            attempts_max=fact.attempts_max,
            timeout_seconds=fact.timeout_seconds,
            available=fact.available,
            unavailable_reason=fact.unavailable_reason,
            cacheable=fact.cacheable,
            names_matter=fact.names_matter,
            retry=fact.retry,
        )
