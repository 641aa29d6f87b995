"""The golden corpus: the stored bytes of every fact in every class version, written once.

`v<class version>/<topic>.bin` holds the bytes as they were appended, `<topic>.json` what they mean.
`python -m tests.golden.corpus` adds what is missing and never touches what is there: history was
written in these bytes, so today's code must read them for ever. A field that a fact got later is
not in its first file; it stands in LATER, and in `<topic>+<label>.bin`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from events.contracts.catalogue import FACTS
from events.contracts.fact import AnyFact
from events.contracts.job import (
    AttemptStarted,
    AttemptSucceeded,
    JobReopened,
    JobSubmitted,
    ResultReused,
)
from events.contracts.schedule import ScheduleChanged, ScheduleCreated, ScheduleSkipped
from events.contracts.tool import ToolOffered
from events.contracts.workflow import StepStarted, WorkflowReopened, WorkflowSubmitted
from events.store.codec import Codec

FOLDER = Path(__file__).parent
SUMS = FOLDER / "SHA256SUMS"
AGGREGATE = UUID("01a20766-3488-7559-a501-93ab8b57f533")
VERSION = 7

FILE = {
    "name": "s1.bmFtZQ",
    "media_type": "image/jpeg",
    "size_bytes": 12345,
    "sha256": "ab" * 32,
    "blob_key": "acme/01a20766-3488-7559-a501-93ab8b57f534",
}
STEP = {
    "id": "merge",
    "tool": "pdf-merger",
    "options": "s1.b3B0aW9ucw",
    "inputs": [{"file": FILE}, {"step": "scan", "output": None}],
    "after": ["check"],
    "for_each": "split",
    "join": "any",
    "quorum": 2,
    "queue": "default",
    "priority": 1,
}
BY_NAME: dict[str, Any] = {
    "timestamp": datetime(2026, 11, 23, 12, 30, 15, 250_000, tzinfo=UTC),
    "originator_topic": "magictoolbox.job",
    "inputs": [FILE],
    "outputs": [FILE, FILE | {"media_type": "image/webp"}],
    "options_schema": {"type": "object", "properties": {"quality": {"default": 80}}},
    "resources": {"cpu_seconds": 0.25, "peak_rss_bytes": 4096.0},
    "run_at": None,
    "steps": [STEP],
    "labels": None,
    "unavailable_reason": None,
    "template": {"tool": "no-op", "options": "s1.b3B0aW9ucw", "label_tokens": ["a", "b"]},
    "retry_at": "2026-11-23T12:31:00+00:00",
    "filter": {
        "statuses": ["failed"],
        "tool": None,
        "created_after": None,
        "label_tokens": ["one"],
    },
}
TEMPLATE_WITH_FILES = BY_NAME["template"] | {"inputs": [FILE]}
SECRETS = {"secrets": "s1.c2VjcmV0cw"}
BY_TYPE: dict[Any, Any] = {
    str: "text – with a dash, “quotes” and ünicode",
    int: 3,
    float: 60.0,
    bool: True,
    list[str]: ["one", "two"],
    dict[str, str]: {"01a20766-3488-5559-a501-93ab8b57f533": "succeeded"},
    dict[str, int]: {"steps": 2, "jobs": 3},
}


@dataclass(frozen=True)
class Later:
    """What a fact got after its first golden file: fields with defaults, or more in a field."""

    fact_class: type[AnyFact]
    label: str
    values: Mapping[str, Any]

    @property
    def new_fields(self) -> set[str]:
        """Those that the fact did not have in its first golden file."""
        optional = {field.name for field in fields(self.fact_class) if field.default is not MISSING}
        return optional & set(self.values)

    @property
    def stem(self) -> Path:
        """Where its golden file lies."""
        return FOLDER / "v1" / f"{self.fact_class.TOPIC}+{self.label}"

    def example(self) -> AnyFact:
        """The fact with these fields."""
        return example(self.fact_class, self.values)


LATER: tuple[Later, ...] = (
    Later(
        JobSubmitted,
        "times",
        {
            "queue_seconds_max": 90.0,
            "retry": {"first_seconds": 0.5, "budget_seconds": 30.0},
            "reservation": "01a20766-3488-5559-a501-93ab8b57f535",
            "schedule": "01a20766-3488-7559-a501-93ab8b57f536",
            "tick": "2026-11-23T12:30:00+00:00",
        },
    ),
    Later(
        ToolOffered,
        "reuse",
        {"cacheable": True, "names_matter": False, "retry": {"factor": 3.0}},
    ),
    Later(
        JobSubmitted,
        "workflow",
        {"workflow": "01a20766-3488-7559-a501-93ab8b57f533", "step": "merge"},
    ),
    Later(JobSubmitted, "limit_key", {"limit_key": "0123456789abcdef01234567"}),
    Later(JobReopened, "priority", {"priority": -7}),
    Later(JobSubmitted, "secrets", {"secrets": "s1.c2VjcmV0cw"}),
    Later(StepStarted, "kept", {"kept": ["01a20766-3488-5559-a501-93ab8b57f537"]}),
    Later(
        WorkflowReopened,
        "kept",
        {"kept": {"merge": ["01a20766-3488-5559-a501-93ab8b57f537", None]}},
    ),
    Later(AttemptStarted, "tool_version", {"tool_version": "1.2.0"}),
    Later(ScheduleCreated, "inputs", {"template": TEMPLATE_WITH_FILES}),
    Later(ScheduleChanged, "inputs", {"template": TEMPLATE_WITH_FILES}),
    Later(ScheduleCreated, "secrets", {"template": BY_NAME["template"] | SECRETS}),
    Later(WorkflowSubmitted, "secrets", {"steps": [STEP | SECRETS]}),
    Later(
        ScheduleSkipped,
        "reason",
        {"tick": "2026-11-23T12:30:00+00:00", "reason": "TOOL_NOT_FOUND"},
    ),
    Later(AttemptSucceeded, "notes", {"notes": "s1.bm90ZXM"}),
    Later(ResultReused, "notes", {"notes": "s1.bm90ZXM"}),
)
"""Added to at its end, never changed."""


def example(fact_class: type[AnyFact], later: Mapping[str, Any] | None = None) -> AnyFact:
    """A fact with a telling value in every field that it had from the beginning."""
    added = {name for each in LATER if each.fact_class is fact_class for name in each.new_fields}
    values = {
        field.name: BY_NAME.get(field.name, BY_TYPE.get(field.type))
        for field in fields(fact_class)
        if field.name not in {"originator_id", "originator_version", *added}
    }
    return fact_class(
        originator_id=AGGREGATE, originator_version=VERSION, **values | dict(later or {})
    )


def class_version(fact_class: type[AnyFact]) -> int:
    """The version in which today's code writes this fact."""
    return getattr(fact_class, "class_version", 1)


def meaning(fact: AnyFact) -> dict[str, Any]:
    """What a decoded fact says, as JSON values."""
    state = dict(vars(fact))
    state["timestamp"] = state["timestamp"].isoformat()
    state["originator_id"] = str(state["originator_id"])
    return state


def sums() -> str:
    """The digests of all files of the corpus, in the form of `sha256sum`."""
    files = sorted(FOLDER.glob("v*/*"))
    return "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(FOLDER)}\n"
        for file in files
    )


def add_missing() -> None:
    """Write the golden files of facts, and of fields, that have none yet."""
    for fact_class in FACTS:
        _add(FOLDER / f"v{class_version(fact_class)}" / fact_class.TOPIC, example(fact_class))
    for later in LATER:
        _add(later.stem, later.example())
    SUMS.write_text(sums())


def _add(stem: Path, fact: AnyFact) -> None:
    stored = stem.with_name(stem.name + ".bin")
    if stored.exists():
        return
    stored.parent.mkdir(exist_ok=True)
    event = Codec().to_stored_event(fact)
    stored.write_bytes(event.state)
    read = Codec().decode(event.topic, event.state, AGGREGATE, VERSION)
    text = json.dumps(meaning(read), indent=1, sort_keys=True)
    stem.with_name(stem.name + ".json").write_text(text + "\n")


if __name__ == "__main__":
    add_missing()
