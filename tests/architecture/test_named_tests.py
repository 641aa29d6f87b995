"""The pages that name tests name tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(?:(?P<file>[\w/]*test_\w+\.py)(?:::\w+)*::)?(?P<test>test_\w+)`")


def named(page: str) -> list[tuple[str, str]]:
    """Each test that a page names, with its file; one without belongs to the file named before."""
    found, file = [], ""
    for match in NAMED.finditer((ROOT / page).read_text()):
        file = match["file"] or file
        found.append((file, match["test"]))
    return found


def test_every_test_that_is_named_exists() -> None:
    sources = {f"/{p.relative_to(ROOT)}": p.read_text() for p in (ROOT / "tests").rglob("*.py")}
    tests = named("docs/checked-outputs.md")

    missing = [
        (file, test)
        for file, test in tests
        if not any(p.endswith(f"/{file}") and f"def {test}(" in text for p, text in sources.items())
    ]

    assert len(tests) > 30
    assert missing == []
