"""Projects the tools that workers offer."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from events.contracts import tool as facts
from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from events.domain.retry_policy import RetryPolicy
from projectors.projections.job import JobRow
from projectors.read_models.tool_catalogue import tool_catalogue
from projectors.rows import KeyedRows, RowsChanged

NEVER_OFFERED: Final = "No worker has offered this tool yet."


@dataclass(slots=True)
class ToolRow:
    """One row of `tool_catalogue`; the fields are its columns, in order."""

    name: str
    tool_id: UUID
    version: str
    description: str
    input_formats: str
    output_formats: str
    inputs_min: int
    inputs_max: int
    options_schema: str
    attempts_max: int
    timeout_seconds: float
    available: bool
    unavailable_reason: str | None
    position: int
    cacheable: bool
    retry: str | None


CHANGING: Final = (
    "version",
    "description",
    "input_formats",
    "output_formats",
    "inputs_min",
    "inputs_max",
    "options_schema",
    "attempts_max",
    "timeout_seconds",
    "available",
    "unavailable_reason",
    "position",
    "cacheable",
    "retry",
)


class ToolCatalogue:
    """Keeps the latest offer of each tool."""

    name: Final = "tool_catalogue"
    version: Final = 2

    def __init__(self) -> None:
        self.rows: KeyedRows[ToolRow] = KeyedRows(tool_catalogue, "tool_id", ToolRow, CHANGING)

    @property
    def handles(self) -> frozenset[type[AnyFact]]:
        """See `Projection.handles`."""
        return frozenset(FOLDS)

    def fold(
        self, fact: Any, row: RecordedRow, job: JobRow | None, status_before: str | None
    ) -> None:
        """See `Projection.fold`."""
        FOLDS[type(fact)](self.rows, fact, row.position)


def _introduced(rows: KeyedRows[ToolRow], fact: facts.ToolIntroduced, position: int) -> None:
    row = ToolRow(
        name=fact.name,
        tool_id=fact.originator_id,
        version="",
        description="",
        input_formats="[]",
        output_formats="[]",
        inputs_min=0,
        inputs_max=0,
        options_schema="{}",
        attempts_max=0,
        timeout_seconds=0.0,
        available=False,
        unavailable_reason=NEVER_OFFERED,
        position=position,
        cacheable=False,
        retry=None,
    )
    rows.add(fact.originator_id, row)


def _offered(rows: KeyedRows[ToolRow], fact: facts.ToolOffered, position: int) -> None:
    row = rows.get(fact.originator_id)
    if row is None:
        raise RowsChanged(f"tool_catalogue: no row before position {position}")
    row.version = fact.version
    row.description = fact.description
    row.input_formats = orjson.dumps(fact.input_formats).decode()
    row.output_formats = orjson.dumps(fact.output_formats).decode()
    row.inputs_min = fact.inputs_min
    row.inputs_max = fact.inputs_max
    row.options_schema = orjson.dumps(fact.options_schema).decode()
    row.attempts_max = fact.attempts_max
    row.timeout_seconds = fact.timeout_seconds
    row.available = fact.available
    row.unavailable_reason = fact.unavailable_reason
    row.position = position
    row.cacheable = fact.cacheable
    row.retry = _policy(fact)
    rows.change(fact.originator_id, row)


def _policy(fact: facts.ToolOffered) -> str:
    """The policy as it works, with what is the same for all tools."""
    policy = asdict(RetryPolicy.of(fact.attempts_max, fact.retry))
    del policy["attempts_max"]
    return orjson.dumps(policy).decode()


FOLDS: Final[dict[type[AnyFact], Callable[[KeyedRows[ToolRow], Any, int], None]]] = {
    facts.ToolIntroduced: _introduced,
    facts.ToolOffered: _offered,
}
