"""Keeps an access token between commands, so that a script does not log in for each of them.

Tokens lie in the user's cache folder, readable by nobody else, under a name that is derived from
address, user and password: another password finds nothing. The derivation is slow on purpose, as
the name must not help anyone to guess the password. Where there is no such folder, nothing is kept.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Final

from infrastructure.cli.connection import Login
from infrastructure.embedded.data_folder import write_owner_only

FOLDER: Final = "magictoolbox/tokens"
SPARE_SECONDS: Final = 60
"""A token is not used for longer than that before its end."""
_COST: Final = {"n": 2**14, "r": 8, "p": 1, "dklen": 16}


class TokenCache:
    """The token of one login at one platform."""

    def __init__(self, command_url: str, login: Login) -> None:
        who = f"{command_url}\0{login.username}".encode()
        name = hashlib.scrypt(login.password.encode(), salt=who, **_COST).hex()
        self._path = _cache_home() / FOLDER / f"{name}.json"

    def read(self) -> str | None:
        """The token, if there is one that still holds."""
        try:
            kept = json.loads(self._path.read_text())
            return str(kept["token"]) if kept["until"] > time.time() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, token: str, seconds: float) -> None:
        """Keep a token that holds for so long."""
        kept = {"token": token, "until": time.time() + seconds - SPARE_SECONDS}
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_owner_only(self._path, json.dumps(kept))
        except OSError:
            return

    def forget(self) -> None:
        """Drop a token that turned out not to count any more."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return


def _cache_home() -> Path:
    configured = os.environ.get("XDG_CACHE_HOME", "")
    return Path(configured) if configured else Path("~/.cache").expanduser()
