"""Tries the tool in the real sandbox."""

import json
from pathlib import Path

from processors.trial import tried

SOURCE = "word_count:WordCount"


def test_words_lines_and_characters_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two\nthree\n")
    (tmp_path / "b.txt").write_text("a bb ccc\n")

    trial = tried(SOURCE, [tmp_path / "a.txt", tmp_path / "b.txt"], {"shortest": 2})

    assert trial.is_good, (trial.flaws, trial.missing, trial.error)
    (output,) = trial.outputs
    counts = json.loads(output.content)
    assert counts["files"][0] == {"name": "a.txt", "lines": 2, "words": 3, "characters": 14}
    assert counts["total"] == {"lines": 3, "words": 5, "characters": 23}


def test_an_option_out_of_its_range_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")

    trial = tried(SOURCE, [tmp_path / "a.txt"], {"shortest": 0})

    assert trial.error is not None
    assert (trial.error.code, trial.error.field) == ("INVALID_OPTIONS", "shortest")
