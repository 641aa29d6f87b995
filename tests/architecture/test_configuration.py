"""The configuration page and the example file say what the settings models say."""

import pytest
from pydantic import ValidationError

from infrastructure.cli import configuration
from infrastructure.settings import AdministratorSettings, SealingSettings, TokenSettings

NAMES_OF_THE_DESIGN = {
    "DATABASE_URL", "READ_DATABASE_URL", "REDIS_URL", "NATS_URL", "BLOB_URL", "SECRET_KEY",
    "SEALING_KEY", "JWT_ALGORITHM", "ACCESS_TOKEN_EXPIRE_MINUTES", "MAX_UPLOAD_SIZE",
    "CORS_ALLOWED_ORIGINS", "COMMAND_PUBLIC_URL", "QUERY_PUBLIC_URL", "CLAMD_URL", "LOG_LEVEL",
    "ADMIN_USERNAME", "ADMIN_PASSWORD",
}  # fmt: skip


def test_the_page_is_what_the_models_say() -> None:
    assert configuration.PAGE.read_text() == configuration.page(), "run `make docs`"


def test_the_example_is_what_the_models_say() -> None:
    assert configuration.EXAMPLE.read_text() == configuration.example(), "run `make docs`"


def test_every_name_of_the_design_is_a_variable_with_a_description() -> None:
    found = {v.name: v for _, group in configuration.variables() for v in group}

    assert set(found) >= NAMES_OF_THE_DESIGN
    assert [name for name, variable in found.items() if not variable.description] == []


@pytest.mark.parametrize("fragment", [TokenSettings, SealingSettings])
def test_no_secret_has_a_default(fragment: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.delenv("SEALING_KEY", raising=False)

    with pytest.raises(ValidationError, match="_key"):
        fragment(_env_file=None)


def test_a_short_secret_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="at least 32 bytes"):
        TokenSettings(_env_file=None, secret_key="short")


def test_an_administrator_needs_both_name_and_password() -> None:
    with pytest.raises(ValidationError, match="go together"):
        AdministratorSettings(_env_file=None, admin_username="admin")
