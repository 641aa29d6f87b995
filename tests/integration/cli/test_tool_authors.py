"""What authors of tools are given: a skeleton that works, a trial without servers, a plug-in."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "examples" / "word-count"
INSTALL = ("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index")
INSTALLED = """
import asyncio, json, sys
from pathlib import Path
from processors.sandbox.run import ToolRun
from processors.sandbox.runner import Sandbox
from processors.tools.base import InputFile
from processors.tools.registry import installed

async def main(source: Path, folder: Path) -> None:
    tool = installed().get("word-count")
    box = Sandbox()
    file = InputFile(source, "a.txt", "text/plain", source.stat().st_size, "")
    outcome = await box.run(ToolRun(tool.name, {}, (file,), folder, tool.limits), lambda *_: None)
    await box.stop()
    counts = json.loads(outcome.outputs[0].path.read_text())
    sys.stdout.write(json.dumps([type(tool).__module__, outcome.isolation.level, counts]))

if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def run(
    arguments: Sequence[str | Path], cwd: Path, *paths: Path
) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with more folders on its path."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT)))},
    )


def tools(cwd: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `magictoolbox tools …`."""
    return run(["-m", "infrastructure.cli.main", "tools", *arguments], cwd)


def test_a_new_tool_works_and_passes_its_own_test(tmp_path: Path) -> None:
    made = tools(tmp_path, "new", "line-prefixer")
    folder = tmp_path / "line-prefixer"
    tried = run(["-m", "pytest", "-q", "-p", "no:cacheprovider"], folder, folder)
    again = tools(tmp_path, "new", "line-prefixer")
    misnamed = tools(tmp_path, "new", "Line_Prefixer")

    assert made.returncode == 0, made.stderr
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "2 passed" in tried.stdout
    assert "line-prefixer = " in (folder / "pyproject.toml").read_text()
    assert (again.returncode, "not empty" in again.stderr) == (2, True)
    assert (misnamed.returncode, "lower case" in misnamed.stderr) == (2, True)


def test_a_tool_is_tried_in_the_sandbox_without_servers(tmp_path: Path) -> None:
    sample = tmp_path / "sample.txt"
    sample.write_text("one two\nthree\n")

    own = run(["-m", "pytest", "-q", "-p", "no:cacheprovider"], EXAMPLE, EXAMPLE)
    good = tools(EXAMPLE, "test", "word_count:WordCount", sample, "--output", tmp_path / "out")
    bad = tools(EXAMPLE, "test", "word_count:WordCount", sample, "-o", "shortest=0")
    unknown = tools(EXAMPLE, "test", "word_count:Nothing", sample)

    assert own.returncode == 0, own.stdout + own.stderr
    assert good.returncode == 0, good.stdout + good.stderr
    for words in ("word-count 1.0.0", "succeeded", "counts.json", "MiB", "isolation"):
        assert words in good.stdout
    assert json.loads((tmp_path / "out" / "counts.json").read_text())["total"]["words"] == 3
    assert (bad.returncode, "INVALID_OPTIONS" in bad.stdout) == (1, True)
    assert (unknown.returncode, "WordCount" in unknown.stderr) == (2, False)


def test_a_tool_that_declares_nonsense_is_told_so(tmp_path: Path) -> None:
    made = tools(tmp_path, "new", "shouter", "--folder", tmp_path / "shouter")
    assert made.returncode == 0, made.stderr
    module = tmp_path / "shouter" / "shouter" / "__init__.py"
    module.write_text(module.read_text().replace('examples=["- "],', "examples=[],"))
    sample = tmp_path / "sample.txt"
    sample.write_text("hello\n")

    tried = tools(tmp_path / "shouter", "test", "shouter:Shouter", sample)

    assert tried.returncode == 1
    assert "The option prefix has no examples." in tried.stdout + tried.stderr


def test_the_example_is_installed_and_found_by_its_entry_point(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", "build"))
    installed = run(
        [*INSTALL, "--target", target, source],
        tmp_path,
    )
    if "No module named pip" in installed.stderr:
        pytest.skip("pip is not installed")
    assert installed.returncode == 0, installed.stderr
    (tmp_path / "text").write_text("one two\n")
    (tmp_path / "work").mkdir()
    (tmp_path / "program.py").write_text(INSTALLED)

    ran = run(["program.py", tmp_path / "text", tmp_path / "work"], tmp_path, target)

    assert ran.returncode == 0, ran.stderr
    module, level, counts = json.loads(ran.stdout.splitlines()[-1])
    assert (module, counts["total"]["words"]) == ("word_count", 2)
    assert level >= "L1"
