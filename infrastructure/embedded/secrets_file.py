"""The secrets of one data folder: drawn at random once, kept in a file that only its owner reads.

A restart finds the same ones, so tokens stay valid and sealed fields stay readable. Losing the file
means losing what `sealing_key` wrapped: it belongs into the backup, apart from the database.
"""

import json
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from infrastructure.embedded.data_folder import write_owner_only

SECRET_BYTES = 32
PASSWORD_BYTES = 12


@dataclass(frozen=True, repr=False)
class Secrets:
    """What must not be guessed."""

    postgres_password: str
    nats_password: str
    valkey_password: str
    secret_key: str
    sealing_key: str
    admin_password: str


def load_or_draw(path: Path) -> Secrets:
    """Read the secrets of a folder; draw the ones that it has not yet."""
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    names = [field.name for field in fields(Secrets)]
    complete = Secrets(**{name: known.get(name) or _draw(name) for name in names})
    if asdict(complete) != known:
        write_owner_only(path, json.dumps(asdict(complete), indent=2) + "\n")
    return complete


def _draw(name: str) -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES if name == "admin_password" else SECRET_BYTES)
