"""Logs of programs: their end can be shown, and they do not grow for ever."""

import os
from pathlib import Path

from infrastructure.embedded.program import LOG_TAIL_BYTES, limit_log, log_tail


def test_the_end_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "it.log"
    log.write_text("".join(f"line {number}\n" for number in range(10_000)))

    assert log.stat().st_size > LOG_TAIL_BYTES
    assert log_tail(log, 2) == "line 9998\nline 9999"


def test_a_log_that_is_missing_has_no_end(tmp_path: Path) -> None:
    assert log_tail(tmp_path / "none.log", 5) == ""


def test_a_writer_goes_on_in_an_emptied_log(tmp_path: Path) -> None:
    log = tmp_path / "it.log"
    writer = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(writer, b"long enough\n")

    limit_log(log, bytes_max=5)
    os.write(writer, b"next\n")
    os.close(writer)

    assert log.read_text() == "next\n"
    assert (tmp_path / "it.log.1").read_text() == "long enough\n"


def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "it.log"
    log.write_text("short\n")

    limit_log(log)

    assert log.read_text() == "short\n"
    assert [path.name for path in tmp_path.iterdir()] == ["it.log"]
