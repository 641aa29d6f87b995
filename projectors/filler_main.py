"""The process that helps to fill tables: takes slices from its standard input until that ends."""

import asyncio
import logging
import sys
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
import uvloop

from infrastructure.postgres import Role, connect
from projectors.collector import look_seldom
from projectors.fillers import Task, fill_slice
from projectors.filling import Filling
from projectors.group import Group
from projectors.slices import Slice

STATEMENT_SECONDS_MAX: Final = 3_600.0
SETTINGS: Final = "SET synchronous_commit = off"


def main() -> None:
    """Fill what the parent process asks for."""
    # Standard output is for the answers.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    look_seldom()
    uvloop.run(_main(Task(**_question())))


async def _main(task: Task) -> None:
    seconds = STATEMENT_SECONDS_MAX
    reader = await connect(task.log_dsn, Role.PROJECTORS, timeout_seconds=seconds)
    writer = await connect(task.read_dsn, Role.PROJECTORS, timeout_seconds=seconds)
    try:
        await writer.execute(SETTINGS)
        group = Group(skip_unknown_topics=task.skip_unknown_topics)
        filling = Filling(writer, group, task.generation)
        while question := await asyncio.to_thread(_question):
            slice_ = Slice(UUID(question["after"]), UUID(question["up_to"]))
            await fill_slice(filling, reader, task.up_to, slice_)
            _answer(filling.take_sums())
    except Exception as error:
        _answer({"error": type(error).__name__, "told": str(error)})
        raise SystemExit(1) from error
    finally:
        await reader.close()
        await writer.close()


def _question() -> dict[str, Any]:
    line = sys.stdin.buffer.readline()
    return orjson.loads(line) if line else {}


def _answer(answer: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
