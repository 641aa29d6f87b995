"""Every hostile deed behind all walls, as root and as an ordinary user."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.ordinary_user import give_to_ordinary_user, ordinary_user
from tests.integration.processors.sandbox.gauntlet import DEEDS, PRIES

DEADLINE_SECONDS = 120.0
CODES = {
    "loop": "TOOL_TIMEOUT",
    **dict.fromkeys(("abort", "segfault", "exit", "babble"), "TOOL_CRASHED"),
    **{name: "BAD_OUTPUT" for name in DEEDS if name.startswith("output ")},
}


def run_as(who: str, folder: Path) -> Sequence[str]:
    """What to put before the command, and whose folder it is."""
    if who == "root":
        if os.geteuid() != 0:
            pytest.skip("the tests do not run as root")
        return []
    if who == "without rights":
        # As an ordinary user too, but one that may read the interpreter wherever it lies.
        mapped = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        if subprocess.run([*mapped, "true"], capture_output=True, check=False).returncode != 0:
            pytest.skip("this machine lets nobody make a user namespace")
        return mapped
    give_to_ordinary_user(folder)
    return ordinary_user()


async def gauntlet(who: str, folder: Path) -> dict[str, Any]:
    prefix = run_as(who, folder)
    program = [sys.executable, "-m", "tests.integration.processors.sandbox.gauntlet", folder]
    process = await asyncio.create_subprocess_exec(
        *(*prefix, *program),
        env={**os.environ, "PYTHONPATH": ":".join(path for path in sys.path if path)},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE_SECONDS):
        said, _ = await process.communicate()
    assert process.returncode == 0
    report: dict[str, Any] = json.loads(said.splitlines()[-1])
    return report


@pytest.mark.parametrize("who", ["root", "ordinary user", "without rights"])
async def test_whatever_a_tool_does_has_its_code_and_leaves_nothing(who: str) -> None:
    # Not pytest's own folder, which only its owner enters.
    with tempfile.TemporaryDirectory(prefix="gauntlet-") as folder:
        report = await gauntlet(who, Path(folder))
    if report["level"] < "L2":
        pytest.skip(f"this machine does not give the walls: {report['missing']}")

    told = report["told"]
    codes = {name: told[name].partition(":")[0] for name in DEEDS}
    assert codes == {name: CODES.get(name, "RESOURCE_LIMIT_EXCEEDED") for name in DEEDS}
    assert "SIGABRT" in told["abort"]
    pried = [name for name in told if name not in DEEDS]
    # A machine whose interpreter only root may read has no namespaces for ordinary users.
    assert report["level"] == "L3" or who == "ordinary user"
    assert len(pried) == 2 * len(PRIES)
    assert [name for name in pried if not told[name].startswith("refused: ")] == []
    assert report["left"] == report["alive"] == []
    assert report["noted"] > 0
    assert report["same zygote"]
