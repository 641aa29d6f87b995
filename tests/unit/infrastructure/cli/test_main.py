"""The entry point knows its commands and loads no more than the one that runs."""

import subprocess
import sys
from importlib.util import find_spec

from typer.testing import CliRunner

from infrastructure.cli.main import app
from infrastructure.cli.services import SERVICES


def test_every_process_has_a_command() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output

    assert [name for name in SERVICES if name not in shown] == []


def test_every_service_names_a_module_of_this_installation() -> None:
    assert [name for name, module in SERVICES.items() if find_spec(module) is None] == []


def test_the_entry_point_imports_no_service() -> None:
    script = (
        "import sys, infrastructure.cli.main;"
        "print([name for name in ('fastapi', 'faststream', 'sqlalchemy', 'PIL')"
        " if name in sys.modules])"
    )

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert loaded.stdout.strip() == "[]", loaded.stderr
