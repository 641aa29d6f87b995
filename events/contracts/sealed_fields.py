"""What sealed texts are sealed as: who opens one has to say the same name, or it stays shut.

Facts and read models hold texts that were sealed under these names, so none of them ever changes.
"""

from typing import Final

NAME_FIELD: Final = "name"
"""Of a file, or of a workflow."""
SCHEDULE_NAME_FIELD: Final = "schedule name"
OPTIONS_FIELD: Final = "options"
SECRETS_FIELD: Final = "secrets"
LABELS_FIELD: Final = "labels"
MESSAGE_FIELD: Final = "message"
NOTES_FIELD: Final = "notes"
LOG_FIELD: Final = "log"
OUTPUT_FIELD: Final = "output"
"""Which output of an earlier step a step takes."""
SUBJECT_FIELD: Final = "subject"
"""The limit key that a limit counts."""
