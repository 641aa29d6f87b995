"""Opens the sealed text of one job for those who may see the job.

Where the key was erased, or the text cannot be opened, names read `(erased)` and everything else
is null; both are decided here and nowhere else.
"""

from typing import Any, Final

import orjson
import structlog

from events.contracts.sealed_fields import (
    LABELS_FIELD,
    LOG_FIELD,
    MESSAGE_FIELD,
    NAME_FIELD,
    NOTES_FIELD,
    OPTIONS_FIELD,
    SCHEDULE_NAME_FIELD,
    SUBJECT_FIELD,
)
from events.store.sealing import Seal, SealBroken

ERASED: Final = "(erased)"
SECRET: Final = "(secret)"  # noqa: S105 - what stands in a secret's place

log = structlog.get_logger(__name__)


class SealedText:
    """The text of one job; `seal` is None where its key was erased."""

    def __init__(self, seal: Seal | None) -> None:
        self._seal = seal

    def name(self, sealed: str) -> str | None:
        """A file's name; None where it is not readable."""
        return self._open(NAME_FIELD, sealed)

    def shown_name(self, sealed: str) -> str:
        """A file's name as it is shown."""
        return self.name(sealed) or ERASED

    def schedule_name(self, sealed: str) -> str:
        """What a schedule is called."""
        return self._open(SCHEDULE_NAME_FIELD, sealed) or ERASED

    def workflow_name(self, sealed: str | None) -> str | None:
        """What a workflow is called, if it has a name."""
        return None if sealed is None else self.shown_name(sealed)

    def message(self, sealed: str | None) -> str | None:
        """What went wrong."""
        return self._open(MESSAGE_FIELD, sealed)

    def notes(self, sealed: str | None) -> list[str]:
        """What a tool says about its outputs."""
        text = self._open(NOTES_FIELD, sealed)
        return [] if text is None else list(orjson.loads(text))

    def log(self, sealed: str) -> str | None:
        """What an attempt wrote."""
        return self._open(LOG_FIELD, sealed)

    def subject(self, sealed: str | None) -> str:
        """The limit key that a limit counts."""
        return self._open(SUBJECT_FIELD, sealed) or ERASED

    def labels(self, sealed: str | None) -> dict[str, Any] | None:
        """The client's labels."""
        return self._object(LABELS_FIELD, sealed)

    def options(self, sealed: str, secrets: list[str] | None) -> dict[str, Any] | None:
        """The options without the secret ones; none at all where it is unknown which are."""
        options = self._object(OPTIONS_FIELD, sealed) if secrets is not None else None
        if options is None or secrets is None:
            return None
        return {name: SECRET if name in secrets else value for name, value in options.items()}

    def _object(self, field: str, sealed: str | None) -> dict[str, Any] | None:
        text = self._open(field, sealed)
        if text is None:
            return None
        opened = orjson.loads(text)
        return opened if isinstance(opened, dict) else None

    def _open(self, field: str, sealed: str | None) -> str | None:
        if self._seal is None or sealed is None:
            return None
        try:
            return self._seal.open(field, sealed)
        except SealBroken:
            log.warning("sealed_text_not_opened", field=field)
            return None
