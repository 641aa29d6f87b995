"""`magictoolbox limits … --platform`, run as the operator of the installation runs them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from events.contracts.limit import LimitScope, limit_id
from events.contracts.values import PLATFORM_TENANT
from events.domain.tool import Tool
from events.store.repository import open_repository
from infrastructure.cli.queues import limits_app
from infrastructure.postgres import Role, create_pool
from infrastructure.settings import PostgresSettings
from tests.fixtures.events import origin

SECONDS_MAX = 60

Run = Callable[..., subprocess.CompletedProcess[str]]


def limits(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infrastructure.cli.main", "limits", *arguments],
        env={**os.environ, "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


@pytest.fixture
def run(module_database_url: str) -> Run:
    """Runs the command line on a database of its own."""
    return lambda *arguments: limits(module_database_url, *arguments)


async def introduce(database_url: str, *tools: str) -> None:
    """Let workers have offered these tools."""
    settings = PostgresSettings(database_url=database_url)
    pool = await create_pool(settings, Role.COMMAND_API)
    repository = open_repository(settings, Role.COMMAND_API, pool)
    for name in tools:
        await repository.save(Tool.introduce(name, origin(tenant=PLATFORM_TENANT)))
    await repository.close()
    await pool.close()


async def test_a_limit_over_all_tenants_is_set_shown_changed_and_removed(
    run: Run, module_database_url: str
) -> None:
    await introduce(module_database_url, "ocr", "no-op")
    ocr = ("--platform", "--tool", "ocr")

    made = [
        run("set", *ocr, "--concurrency", "2"),
        run("set", *ocr, "--concurrency", "3", "--rate", "5", "--per-seconds", "60"),
    ]
    shown, table = run("list", "--platform", "--json"), run("list", "--platform")
    removed = [run("remove", *ocr), run("remove", *ocr)]
    left = run("list", "--platform", "--json")

    assert [each.returncode for each in made] == [0, 0], made
    assert json.loads(shown.stdout) == [
        {
            "limit_id": str(limit_id(PLATFORM_TENANT, LimitScope.TOOL, "ocr")),
            "scope": "tool",
            "name": "ocr",
            "concurrency": 3,
            "rate": 5,
            "per_seconds": 60.0,
        }
    ]
    assert "5 in 60 s" in table.stdout
    assert [each.returncode for each in removed] == [0, 1]
    assert removed[1].stderr == "error: There is no such limit.\n"
    assert json.loads(left.stdout) == []


def test_a_limit_of_a_tool_that_nobody_offers_is_refused(run: Run) -> None:
    answer = run("set", "--platform", "--tool", "nothing", "--concurrency", "1")

    assert answer.returncode == 1
    assert answer.stderr == "error: There is no tool of this name.\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("set --platform --tool ocr --concurrency 0", "concurrency: "),
        ("set --platform --tool ocr", "give concurrency or rate"),
        ("set --platform --concurrency 1", "--tool NAME alone"),
        ("set tenant --platform --tool ocr --rate 1", "--tool NAME alone"),
        ("remove 1 --platform --tool ocr", "--tool NAME alone"),
        ("set tool --tool ocr --concurrency 1", "--tool goes with --platform"),
        ("set --concurrency 1", "needs SCOPE"),
        ("remove --tool ocr", "needs LIMIT_ID"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_in_one_line(
    arguments: str, complaint: str
) -> None:
    answer = CliRunner().invoke(limits_app, arguments.split())

    assert answer.exit_code == 2
    assert complaint in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_database_that_is_away_is_said_to_be() -> None:
    answer = limits("postgresql://127.0.0.1:1/none", "list", "--platform")

    assert answer.returncode == 4
    assert answer.stderr == "error: the database cannot be read or written at the moment\n"
