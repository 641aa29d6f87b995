"""`magictoolbox demo` and the line that `make run` offers to paste do what they say."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from PIL import Image

from infrastructure.cli.photo import SIZE
from tests.fixtures.deadlines import wait_until
from tests.fixtures.platform import PlatformFactory

DEMO_SECONDS_MAX = 120


def test_the_demo_leaves_an_upright_webp_and_tells_its_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    command = [sys.executable, "-m", "infrastructure.cli.main", "demo", "--output", "result"]

    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=DEMO_SECONDS_MAX
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = (tmp_path / "result").iterdir()
    with Image.open(result) as picture:
        assert (picture.format, picture.size) == ("WEBP", SIZE)
        assert not picture.getexif()
    assert str(result) in done.stdout
    positions = [int(found) for found in re.findall(r"^ +(\d+)  \d{4}-", done.stdout, re.MULTILINE)]
    assert len(positions) >= 3
    assert positions == sorted(set(positions))
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="the line to paste needs curl")
@pytest.mark.drill
def test_the_line_to_paste_runs_a_job(platform_factory: PlatformFactory) -> None:
    mine = platform_factory(arguments=["--first-steps"])
    mine.start()
    wait_until(lambda: "curl" in mine.printed(), "there is no line to paste")
    (line,) = [line for line in mine.printed().splitlines() if "curl" in line]
    pages = re.findall(r"^ +\w+ API +(\S+)$", mine.printed(), re.MULTILINE)

    pasted = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)

    assert pasted.returncode == 0, pasted.stderr
    assert json.loads(pasted.stdout)["status"] == "succeeded"
    assert pages == [f"{mine.command_url}/docs", f"{mine.query_url}/docs"]
    assert [httpx.get(page, trust_env=False, timeout=30).status_code for page in pages] == [
        200,
        200,
    ]


@pytest.mark.drill
def test_a_demo_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("SEALING_KEY", "too short")
    command = [sys.executable, "-m", "infrastructure.cli.main", "demo"]

    failed = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=DEMO_SECONDS_MAX
    )

    assert failed.returncode == 1
    assert "sealing_key" in failed.stderr.lower()
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
    assert list(temporary.iterdir()) == []
