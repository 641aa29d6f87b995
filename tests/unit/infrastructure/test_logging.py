"""What a log line looks like, and what never stands in one."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.logging import (
    REDACTED,
    STRING_CHARACTERS_MAX,
    LineWriter,
    configure_logging,
    is_secret_name,
    render_line,
)

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Logging as a process has it, written to memory; undone afterwards."""
    root = logging.getLogger()
    handlers, level, before = list(root.handlers), root.level, structlog.get_config()
    out = io.BytesIO()
    configure_logging("test", "DEBUG", out=out, cached=False)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)


def test_a_record_is_one_line_of_json_with_its_origin(lines: Lines) -> None:
    structlog.get_logger("some.module").info("thing_done", count=3)

    (record,) = lines()
    assert record["event"] == "thing_done"
    assert record["count"] == 3
    assert record["level"] == "info"
    assert record["logger"] == "some.module"
    assert record["process"] == "test"
    assert record["timestamp"].endswith("Z")


def test_what_is_bound_stands_in_every_record_of_the_task(lines: Lines) -> None:
    async def task(name: str) -> None:
        structlog.contextvars.bind_contextvars(request_id=name)
        await asyncio.sleep(0)
        structlog.get_logger().info("seen")

    async def both() -> None:
        await asyncio.gather(task("one"), task("two"))

    asyncio.run(both())

    assert [record["request_id"] for record in lines()] == ["one", "two"]


def test_records_of_libraries_take_the_same_way(lines: Lines) -> None:
    logging.getLogger("nats").warning("slow %s", "consumer")

    (record,) = lines()
    assert (record["event"], record["level"]) == ("slow consumer", "warning")
    assert record["logger"] == "nats"


def test_uvicorn_is_heard_only_when_something_is_wrong(lines: Lines) -> None:
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application")

    assert [record["event"] for record in lines()] == ["Exception in ASGI application"]


def test_an_exception_becomes_frames_without_their_locals(lines: Lines) -> None:
    def fail(password: str) -> None:
        raise ValueError("no")

    try:
        fail("hunter2")
    except ValueError:
        structlog.get_logger().exception("thing_failed")

    (record,) = lines()
    (error,) = record["exception"]
    assert (error["exc_type"], error["exc_value"]) == ("ValueError", "no")
    assert [frame["name"] for frame in error["frames"]][-1] == "fail"
    assert "hunter2" not in json.dumps(record)


def test_an_exception_of_a_library_becomes_frames_too(lines: Lines) -> None:
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("library").exception("it failed")

    assert lines()[0]["exception"][0]["exc_type"] == "ValueError"


@pytest.mark.parametrize(
    "name",
    ["password", "db_password", "PASSWORD", "accessToken", "access_token", "refresh-token",
     "secret_key", "SECRET_KEY", "authorization", "Authorization", "client_secret", "api_key",
     "sealing_key", "cookie", "set-cookie"],
)  # fmt: skip
def test_a_secret_is_never_written(lines: Lines, name: str) -> None:
    nested = {"a": [{name: "canary-1"}]}

    structlog.get_logger().info("seen", **{name: "canary-2"}, nested=nested)

    (record,) = lines()
    assert record[name] == REDACTED
    assert record["nested"] == {"a": [{name: REDACTED}]}


@pytest.mark.parametrize("name", ["tokens_refused", "key", "blob_key", "passed", "secretary"])
def test_names_that_only_look_like_secrets_are_written(name: str) -> None:
    assert not is_secret_name(name)


def test_passwords_in_addresses_and_headers_are_cut_out(lines: Lines) -> None:
    logging.getLogger("x").error("cannot reach postgresql://mt:canary@db:5432/x, nats://:canary@n")
    structlog.get_logger().info(
        "seen", header="Bearer canary.canary.canary", other="basic canaryA="
    )
    try:
        raise OSError("redis://default:canary@host/0 is away")
    except OSError:
        structlog.get_logger().exception("thing_failed")

    text = json.dumps(lines())
    assert "canary" not in text
    assert "postgresql://mt:[redacted]@db:5432/x" in text


@pytest.mark.parametrize(
    "nasty",
    ["a\nb", "a\r\nb", "\x1b[31mred", "\x9b31m", "\x7f", "\u2028", "\u202egnp.exe", "\x00", "\x85"],
)
def test_no_value_breaks_the_line_or_steers_a_terminal(lines: Lines, nasty: str) -> None:
    structlog.get_logger().info(nasty, value=nasty, **{"k" + nasty: 1})

    (record,) = lines()
    assert record["event"] == record["value"] == nasty


@settings(max_examples=300)
@given(st.text())
def test_a_line_has_no_control_character(text: str) -> None:
    line = render_line(None, "info", {"event": text, text: [text]})

    decoded = line.decode()
    assert len(decoded.splitlines()) == 1
    assert not any(ord(c) < 32 or 0x7F <= ord(c) <= 0x9F for c in decoded)
    assert json.loads(line)["event"] == text


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("broken")


@pytest.mark.parametrize(
    "value", [2**70, "\ud800", float("nan"), {1: 2}, {1, 2}, Path("/x"), _Unprintable(), b"\xff"]
)
def test_any_value_can_be_logged(lines: Lines, value: object) -> None:
    structlog.get_logger().info("seen", value=value)

    assert lines()[0]["event"] == "seen"


def test_a_record_stays_small(lines: Lines) -> None:
    endless: list[Any] = []
    endless.append(endless)

    structlog.get_logger().info("seen", text="x" * 10**6, many=list(range(10**5)), deep=endless)

    record = lines()[0]
    assert len(record["text"]) < STRING_CHARACTERS_MAX + 100
    assert len(record["many"]) == 200
    assert len(json.dumps(record)) < 20_000


def test_levels_below_the_asked_one_are_dropped(lines: Lines) -> None:
    out = io.BytesIO()
    configure_logging("test", "WARNING", out=out, cached=False)

    structlog.get_logger().info("dropped")
    logging.getLogger("x").info("dropped")
    structlog.get_logger().warning("kept")

    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["kept"]


def test_a_reader_that_is_gone_does_not_stop_the_work() -> None:
    out = io.BytesIO()
    out.close()

    LineWriter(out).write(b"into the void")
