"""Between a fact and the bytes that stand in the log for ever.

The form is that of the eventsourcing library's Mapper and JSON transcoder, so that the stock
library reads our store; the speed is orjson's. Topics resolve through the closed catalogue only:
a row can never make us import anything. Old versions of a fact are brought up to date by its
`upcast_vN_vN+1` methods.
"""

from dataclasses import MISSING, fields
from datetime import datetime
from functools import cache
from typing import Any, Final, cast
from uuid import UUID

import orjson
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent

from events.contracts.catalogue import CLASS_OF
from events.contracts.envelope import RecordedEvent, RecordedRow
from events.contracts.fact import AnyFact

STATE_BYTES_MAX: Final = 512 * 1024
"""The largest event; what is larger belongs into a blob."""

_DATETIME: Final = "datetime_iso"
"""The library's name for a datetime in JSON."""


class CodecError(Exception):
    """A stored event cannot be read, or a fact cannot be stored."""


class UnknownTopic(CodecError):
    """The event was written by a version of the software that knows more facts."""


class FactTooLarge(CodecError):
    """The fact is larger than an event may be."""


class Codec(Mapper[UUID]):
    """Encodes and decodes facts; a drop-in Mapper for the library's own classes."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """Encode a fact; raises FactTooLarge or CodecError."""
        state = dict(vars(domain_event))
        for name, default in _defaults(type(domain_event)):
            # Not written, so that a fact that does not use a later field keeps its old bytes.
            if state.get(name, default) == default:
                state.pop(name, None)
        originator_id = state.pop("originator_id")
        version = state.pop("originator_version")
        class_version = getattr(type(domain_event), "class_version", 1)
        if class_version > 1:
            state["class_version"] = class_version
        try:
            encoded = orjson.dumps(state, _encode_special, orjson.OPT_PASSTHROUGH_DATETIME)
        except TypeError as error:
            raise CodecError(f"{type(domain_event).__name__}: {error}") from error
        if len(encoded) > STATE_BYTES_MAX:
            raise FactTooLarge(f"{type(domain_event).__name__}: {len(encoded)} bytes")
        topic = cast(AnyFact, domain_event).TOPIC
        return StoredEvent(originator_id, version, topic, encoded)

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        """Decode a stored event; raises CodecError."""
        originator_id = cast(UUID, stored_event.originator_id)
        return self.decode(
            stored_event.topic, stored_event.state, originator_id, stored_event.originator_version
        )

    def decode(self, topic: str, state: bytes, originator_id: UUID, version: int) -> AnyFact:
        """Decode one fact; raises UnknownTopic or CodecError."""
        try:
            fact_class = CLASS_OF[topic]
        except KeyError:
            raise UnknownTopic(topic) from None
        try:
            values = orjson.loads(state)
            values["timestamp"] = datetime.fromisoformat(values["timestamp"]["_data_"])
        except (ValueError, KeyError, TypeError) as error:
            raise CodecError(f"{topic} of {originator_id}, version {version}: {error}") from error
        _upcast(fact_class, values)
        values["originator_id"] = originator_id
        values["originator_version"] = version
        fact = object.__new__(fact_class)
        object.__setattr__(fact, "__dict__", values)
        return fact

    def decode_row(self, row: RecordedRow) -> RecordedEvent:
        """Decode one row of the log."""
        fact = self.decode(row.topic, row.state, row.originator_id, row.originator_version)
        return RecordedEvent(row.position, fact, row.recorded_at)


@cache
def _defaults(fact_class: type[DomainEventProtocol[UUID]]) -> tuple[tuple[str, Any], ...]:
    """The fields that a fact may leave out, and what it means then."""
    # The library makes every event class a dataclass, which its protocol does not say.
    known = fields(fact_class)  # type: ignore[arg-type]
    return tuple((each.name, each.default) for each in known if each.default is not MISSING)


def _encode_special(value: Any) -> dict[str, str]:
    if isinstance(value, datetime):
        return {"_type_": _DATETIME, "_data_": value.isoformat()}
    raise TypeError(f"a fact holds JSON values only, not {type(value).__name__}")


def _upcast(fact_class: type[AnyFact], values: dict[str, Any]) -> None:
    """Bring the fields of an older class version up to date, one step at a time."""
    version = values.pop("class_version", 1)
    current = getattr(fact_class, "class_version", 1)
    if version > current:
        raise UnknownTopic(f"{fact_class.TOPIC} in version {version}")
    while version < current:
        getattr(fact_class, f"upcast_v{version}_v{version + 1}")(values)
        version += 1
