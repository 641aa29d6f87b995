"""Which platform the command line talks to, and as whom.

`--data-dir` names the folder of a platform that runs on this machine; `up` leaves `client.json` in
it. Without the option the environment decides, and where that names nobody, the folder that `up`
uses by default. Secrets come from those places only, never from an argument, which every process
on the machine could read.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from infrastructure.cli.failures import ConnectionUnknown
from infrastructure.embedded.data_folder import write_owner_only

CLIENT_FILE: Final = "client.json"
DATA_DIR_DEFAULT: Final = Path("data")
COMMAND_URL_DEFAULT: Final = "http://127.0.0.1:8000"
QUERY_URL_DEFAULT: Final = "http://127.0.0.1:8001"


@dataclass(frozen=True, repr=False)
class Login:
    """A name and a password, or a token that was had elsewhere."""

    username: str = ""
    password: str = ""
    token: str = ""


@dataclass(frozen=True)
class Connection:
    """Where the two APIs are, and who asks."""

    command_url: str
    query_url: str
    login: Login


class ClientSettings(BaseSettings):
    """What the environment says to the client commands."""

    model_config = SettingsConfigDict(env_prefix="MAGICTOOLBOX_", frozen=True)

    command_url: str = COMMAND_URL_DEFAULT
    query_url: str = QUERY_URL_DEFAULT
    username: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None


def find_connection(data_dir: Path | None) -> Connection:
    """The platform in this folder, or the one the environment names; raises ConnectionUnknown."""
    if data_dir is not None:
        return read_connection(data_dir)
    try:
        settings = ClientSettings()
    except ValidationError as error:
        raise ConnectionUnknown(f"the environment is not valid: {error}") from None
    if (login := _login(settings)) is not None:
        return Connection(settings.command_url.rstrip("/"), settings.query_url.rstrip("/"), login)
    if (DATA_DIR_DEFAULT / CLIENT_FILE).exists():
        return read_connection(DATA_DIR_DEFAULT)
    raise ConnectionUnknown(
        "who are you? Set MAGICTOOLBOX_USERNAME and MAGICTOOLBOX_PASSWORD, or MAGICTOOLBOX_TOKEN, "
        "or name the folder of a platform on this machine with --data-dir"
    )


def read_connection(data_dir: Path) -> Connection:
    """What a platform left in its folder; raises ConnectionUnknown."""
    path = data_dir / CLIENT_FILE
    try:
        told = json.loads(path.read_text())
        return Connection(told["command_url"], told["query_url"], Login(**told["login"]))
    except FileNotFoundError:
        raise ConnectionUnknown(f"no platform was started in {data_dir}: no {path}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConnectionUnknown(f"{path} cannot be read: {error}") from None


def write_connection(data_dir: Path, connection: Connection) -> None:
    """Leave it in the folder, for its owner only."""
    write_owner_only(data_dir / CLIENT_FILE, json.dumps(asdict(connection), indent=2) + "\n")


def _login(settings: ClientSettings) -> Login | None:
    if settings.token is not None:
        return Login(token=settings.token.get_secret_value())
    if settings.username is not None and settings.password is not None:
        return Login(settings.username, settings.password.get_secret_value())
    return None
