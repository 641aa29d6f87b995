"""The two lines of migrations, and how to run them.

`log` is the database of truth: the event log, keys, accounts and the processors' own work tables.
`read_models` may live in another database, and may be dropped and rebuilt while the log only grows.
Names say date, serial and whether a migration is safe before (`pre`) or only after (`post`) the new
code is everywhere.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

FOLDER: Final = Path(__file__).parent
LINES: Final = ("log", "read_models")


def upgrade(database_url: str, read_database_url: str | None = None) -> None:
    """Bring both lines to their newest revision; safe to run again, and from two places at once."""
    for line, url in zip(LINES, (database_url, read_database_url or database_url), strict=True):
        command.upgrade(configuration(line, url), "head")


def newest(line: str) -> str | None:
    """The revision that this code needs."""
    return ScriptDirectory.from_config(configuration(line, "")).get_current_head()


def configuration(line: str, url: str) -> Config:
    """Alembic's configuration of one line."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER / line))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    config.attributes["line"] = line
    return config
