"""The house rules, as far as a machine can hold them.

A rule nobody runs is a wish: lines, functions and files have a size, modules say what they are for,
topics and subjects are spelled in one place, and nothing of the machine it was made on gets in.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("command_api", "query_api", "projectors", "processors", "events", "infrastructure")
TOP_LEVEL = {
    *PACKAGES,
    "tests",
    "deploy",
    "docs",
    "pyproject.toml",
    "README.md",
    "Makefile",
    "LICENSE",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    ".ci",
    ".gitignore",
    ".env.example",
    ".editorconfig",
    ".pre-commit-config.yaml",
    ".dockerignore",
}
FUNCTION_LINES_MAX = 50
FILE_LINES_MAX = 400
TEST_FILE_LINES_MAX = 600
BANNED_NAMES = {"utils", "common", "helpers", "shared", "misc", "core"}


def tracked(*suffixes: str) -> list[Path]:
    """The files of the project, as git knows them, new ones included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    paths = [ROOT / name for name in listed]
    return [path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes)]


def modules() -> list[Path]:
    return [path for path in tracked(".py") if path.relative_to(ROOT).parts[0] in PACKAGES]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_the_top_level_is_the_house_plan() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= TOP_LEVEL


def test_no_room_is_called_utils() -> None:
    found = [name_of(path) for path in modules() if BANNED_NAMES & {*path.parts, path.stem}]

    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [name_of(path) for path in modules() if not ast.get_docstring(parsed(path))]

    assert silent == []


def test_files_have_a_size() -> None:
    long = {}
    for path in tracked(".py"):
        limit = (
            FILE_LINES_MAX if path.relative_to(ROOT).parts[0] in PACKAGES else (TEST_FILE_LINES_MAX)
        )
        lines = path.read_text().count("\n")
        if lines > limit:
            long[name_of(path)] = lines

    assert long == {}


def test_functions_have_a_size() -> None:
    long = {}
    for path in modules():
        for function in functions(parsed(path)):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                long[f"{name_of(path)}:{function.name}"] = lines

    assert long == {}


@pytest.mark.parametrize(
    ("what", "pattern", "allowed"),
    [
        ("the time of day outside the clock", r"datetime\.(now|utcnow)\(", {"clock.py"}),
        ("a stream spelled outside subjects.py", r"\"(EVENTS|READY)\"", {"subjects.py"}),
        (
            "a stored topic outside the contracts",
            r"\"magictoolbox\.(job|upload)\.[a-z]",
            {
                "job.py",
                "tool.py",
                "upload.py",
            },
        ),
        ("a marker of work left open", r"\b(TODO|FIXME|XXX)\b", set()),
    ],
)
def test_each_thing_has_its_one_place(what: str, pattern: str, allowed: set[str]) -> None:
    found = [
        f"{name_of(path)}:{number}"
        for path in modules()
        if path.name not in allowed
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]

    assert found == [], what


def test_every_path_that_the_papers_name_exists() -> None:
    named = {
        (page.name, path)
        for page in tracked(".md")
        for path in re.findall(r"`((?:tests|docs|deploy|[a-z_]+_api)/[\w./-]+)`", page.read_text())
    }

    assert named
    assert {(page, path) for page, path in named if not (ROOT / path).exists()} == set()


def test_no_lock_file_names_an_address() -> None:
    locks = sorted((ROOT / "deploy" / "requirements").glob("*.lock"))

    assert locks
    assert [lock.name for lock in locks if "://" in lock.read_text()] == []


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())
