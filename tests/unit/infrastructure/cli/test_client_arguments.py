"""What client commands make of their arguments, the environment and a platform's folder."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infrastructure.cli.connection import (
    CLIENT_FILE,
    Connection,
    Login,
    find_connection,
    read_connection,
    write_connection,
)
from infrastructure.cli.display import printable
from infrastructure.cli.failures import (
    EXIT_REFUSED,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    BadArgument,
    ConnectionUnknown,
    Refused,
)
from infrastructure.cli.job_waiting import local_name
from infrastructure.cli.main import app
from infrastructure.cli.submit import typed_options

PLATFORM = Connection("http://c", "http://q", Login("admin", "secret"))
SCHEMA = {
    "quality": {"type": "integer"},
    "pages": {"type": "string"},
    "password": {"anyOf": [{"type": "string"}, {"type": "null"}]},
}


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment that names nobody, in an empty folder."""
    for name in ("USERNAME", "PASSWORD", "TOKEN", "COMMAND_URL", "QUERY_URL"):
        monkeypatch.delenv(f"MAGICTOOLBOX_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_a_platform_is_found_by_its_folder(tmp_path: Path) -> None:
    write_connection(tmp_path, PLATFORM)

    assert read_connection(tmp_path) == PLATFORM
    assert find_connection(tmp_path) == PLATFORM


def test_only_its_owner_may_read_the_login(tmp_path: Path) -> None:
    write_connection(tmp_path, PLATFORM)

    assert stat.S_IMODE((tmp_path / CLIENT_FILE).stat().st_mode) == 0o600


def test_the_default_folder_is_used_where_the_environment_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_connection(tmp_path / "data", PLATFORM)

    assert find_connection(None) == PLATFORM


def test_the_environment_names_a_platform_and_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGICTOOLBOX_COMMAND_URL", "http://commands.example/")
    monkeypatch.setenv("MAGICTOOLBOX_USERNAME", "ada")
    monkeypatch.setenv("MAGICTOOLBOX_PASSWORD", "secret")

    assert find_connection(None) == Connection(
        "http://commands.example", "http://127.0.0.1:8001", Login("ada", "secret")
    )


def test_a_token_goes_before_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGICTOOLBOX_USERNAME", "ada")
    monkeypatch.setenv("MAGICTOOLBOX_PASSWORD", "secret")
    monkeypatch.setenv("MAGICTOOLBOX_TOKEN", "ey")

    assert find_connection(None).login == Login(token="ey")


def test_nobody_is_told_how_to_be_somebody() -> None:
    with pytest.raises(ConnectionUnknown, match="MAGICTOOLBOX_USERNAME"):
        find_connection(None)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"command_url": "x", "query_url": "y"}'])
def test_a_file_that_is_no_connection_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / CLIENT_FILE).write_text(text)

    with pytest.raises(ConnectionUnknown, match="cannot be read"):
        read_connection(tmp_path)


def test_a_folder_without_a_platform_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConnectionUnknown, match="no platform was started"):
        read_connection(tmp_path)


def test_a_login_is_never_shown() -> None:
    assert "secret" not in repr(PLATFORM)


def test_an_option_is_what_the_tool_wants_it_to_be() -> None:
    given = ["quality=80", "pages=12", "password=0123", "unknown=true", "text=a=b", "list=[1]"]

    assert typed_options(given, lambda: SCHEMA) == {
        "quality": 80,
        "pages": "12",
        "password": "0123",
        "unknown": True,
        "text": "a=b",
        "list": [1],
    }


def test_without_options_no_schema_is_asked_for() -> None:
    def never() -> dict[str, object]:
        raise AssertionError("asked")

    assert typed_options([], never) == {}


@pytest.mark.parametrize("text", ["quality", "=80"])
def test_what_is_no_option_is_refused(text: str) -> None:
    with pytest.raises(BadArgument, match="KEY=VALUE"):
        typed_options([text], lambda: {})


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("a.webp", "a.webp"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\a.webp", "a.webp"),
        ("..", "result"),
        ("/", "result"),
        ("", "result"),
        ("a\0b", "ab"),
    ],
)
def test_a_result_is_written_nowhere_but_into_the_folder(name: str, local: str) -> None:
    assert local_name(name) == local


def test_text_of_others_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[31mb\nc\u202ed") == "a�[31mb�c�d"


def test_a_refusal_names_what_is_wrong_and_where() -> None:
    problem = {
        "message": "The request is not valid.",
        "code": "VALIDATION_ERROR",
        "details": [{"field": "options.quality", "message": "too high", "code": "le"}],
    }

    refused = Refused(422, problem)

    assert refused.lines() == [
        "error: The request is not valid. (VALIDATION_ERROR)",
        "  options.quality: too high",
    ]
    assert (refused.exit_code, Refused(503, {}).exit_code) == (EXIT_REFUSED, EXIT_UNAVAILABLE)


def test_a_fault_of_the_platform_names_the_request() -> None:
    lines = Refused(500, {"message": "Oh.", "code": "INTERNAL_ERROR", "request_id": "7"}).lines()

    assert lines[-1] == "  request id: 7"


@pytest.mark.parametrize("command", [["jobs", "list"], ["tools", "list"], ["jobs", "show", "1"]])
def test_a_command_without_a_platform_says_so_and_exits(command: list[str]) -> None:
    for_people = CliRunner().invoke(app, command)
    for_programs = CliRunner().invoke(app, [*command, "--json"])

    assert (for_people.exit_code, for_programs.exit_code) == (EXIT_USAGE, EXIT_USAGE)
    assert for_people.stderr.startswith("error: who are you?")
    assert json.loads(for_programs.stderr)["code"] == "ConnectionUnknown"
    assert for_people.stdout == for_programs.stdout == ""


def test_a_file_that_is_not_there_is_refused_before_anything_else() -> None:
    result = CliRunner().invoke(app, ["submit", "checksum", "nothing.txt"])

    assert result.exit_code == EXIT_USAGE
    assert "nothing.txt" in result.stderr
