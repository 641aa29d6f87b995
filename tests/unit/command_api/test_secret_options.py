"""Which options of a job are secret, and how they are parted from the others."""

from pydantic import Field, SecretStr

from command_api.secret_options import parted, secret_names
from processors.tools.base import ToolOptions
from processors.tools.options import secret


class Options(ToolOptions):
    """Two secrets, spelled in both ways, and two that are none."""

    password: SecretStr = secret(title="Password", description="What opens it.")
    owner_password: SecretStr | None = Field(default=None, title="Owner's", description="Another.")
    pages: str = ""
    level: int = 3


SCHEMA = Options.model_json_schema()


def test_secrets_are_known_by_their_schema() -> None:
    assert secret_names(SCHEMA) == {"password", "owner_password"}
    assert secret_names({}) == frozenset()


def test_secrets_are_parted_from_the_other_options() -> None:
    options = {"password": "p", "owner_password": "q", "pages": "1-3"}

    assert parted(options, SCHEMA) == (
        {"pages": "1-3"},
        {"password": "p", "owner_password": "q"},
    )


def test_a_secret_that_was_left_empty_is_none() -> None:
    assert parted({"password": "", "owner_password": None}, SCHEMA) == ({}, {})
    assert parted({"level": 5}, SCHEMA) == ({"level": 5}, {})
