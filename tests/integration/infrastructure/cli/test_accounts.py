"""`magictoolbox users` and `tenants`, run as a person runs them."""

import os
import subprocess
import sys
from collections.abc import Callable

import psycopg
import pytest

PASSWORD = "correct horse battery"
SECONDS_MAX = 60

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(module_database_url: str) -> Run:
    """Runs the command line on a database of its own."""

    def run(*arguments: str, password: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "infrastructure.cli.main", *arguments],
            env={**os.environ, "DATABASE_URL": module_database_url},
            input=f"{password}\n",
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )

    return run


def user_row(url: str, name: str) -> tuple[object, ...]:
    """Tenant, role, whether disabled, and session version."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT tenant, role, is_disabled, session_version, password_hash"
            " FROM accounts.users WHERE username = %s",
            (name,),
        ).fetchone()
    assert row is not None
    return row


def test_a_tenant_and_its_users_are_made_and_changed(run: Run, module_database_url: str) -> None:
    create = ("users", "create", "Anna", "--tenant", "acme", "--password-stdin")
    early = run(*create, password=PASSWORD)
    made = [run("tenants", "create", "acme"), run(*create, password=PASSWORD)]

    assert early.returncode == 1
    assert early.stderr == "There is no such tenant.\n"
    assert [each.returncode for each in made] == [0, 0], made
    assert made[1].stdout.startswith("user anna created: client of acme, id ")
    assert PASSWORD not in "".join(each.stdout + each.stderr for each in made)
    tenant, role, is_disabled, version, first_hash = user_row(module_database_url, "anna")
    assert (tenant, role, is_disabled, version) == ("acme", "client", False, 1)

    changed = [
        run("users", "role", "anna", "operator"),
        run("users", "password", "anna", "--password-stdin", password="another password"),
        run("users", "disable", "anna"),
    ]

    assert [each.returncode for each in changed] == [0, 0, 0], changed
    tenant, role, is_disabled, version, last_hash = user_row(module_database_url, "anna")
    assert (role, is_disabled, version) == ("operator", True, 4)
    assert last_hash != first_hash


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("tenants", "create", "Not A Tenant"), "String should match pattern"),
        (("tenants", "create", "platform"), "this name is reserved"),
        (("users", "create", "sp ace", "--password-stdin"), "String should match pattern"),
        (("users", "disable", "nobody"), "There is no such user."),
        (("users", "role", "nobody", "admin"), "There is no such user."),
        (("users", "password", "nobody", "--password-stdin"), "There is no such user."),
        (("users", "role", "nobody", "king"), "king"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_is_refused_in_one_line(
    run: Run, arguments: tuple[str, ...], complaint: str
) -> None:
    answer = run(*arguments, password=PASSWORD)

    assert answer.returncode != 0
    assert complaint in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_weak_password_is_refused(run: Run) -> None:
    run("tenants", "create", "default")

    answer = run("users", "create", "weak", "--password-stdin", password="short")

    assert answer.returncode == 1
    assert answer.stderr.startswith("A password has 8 to 1024 characters")


def test_a_database_that_is_away_is_said_to_be() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "infrastructure.cli.main", "users", "disable", "anna"],
        env={**os.environ, "DATABASE_URL": "postgresql://127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )

    assert answer.returncode == 1
    assert answer.stderr == "The accounts cannot be read or written at the moment.\n"
