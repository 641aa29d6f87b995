"""Fills a generation with several processes, because folding is work for the processor alone.

This process and its children take slice after slice, so a child that starts late or runs slowly
only takes fewer. Children speak lines of JSON over their pipes; they end when this process does.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import structlog
from sqlalchemy import DateTime, Table

from events.store.codec import UnknownTopic
from infrastructure.postgres import Connection
from projectors.filling import Filling
from projectors.history import History
from projectors.parking import TooManyPoisoned
from projectors.rows import Record
from projectors.slices import EVERYTHING, Slice, cut

FILLERS_MAX: Final = 4
EVENTS_FILLED_ALONE_MAX: Final = 50_000
"""A shorter log is filled before a child would have started."""
EVENTS_PER_SLICE: Final = 20_000
SLICES_MAX: Final = 1_000
LINE_BYTES_MAX: Final = 64 * 1024**2
"""The sums of one slice; a few kilobytes as a rule."""
END_SECONDS_MAX: Final = 5.0

MODULE: Final = "projectors.filler_main"

log = structlog.get_logger(__name__)


class FillerFailed(Exception):
    """A process that helped to fill the tables failed."""


_KNOWN: Final[Mapping[str, type[Exception]]] = {
    error.__name__: error for error in (UnknownTopic, TooManyPoisoned)
}
"""Failures that mean something to whoever asked for the rebuild."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a child has to know."""

    log_dsn: str
    read_dsn: str
    generation: int
    up_to: int
    skip_unknown_topics: bool


async def fill_slice(filling: Filling, reader: Connection, up_to: int, slice_: Slice) -> None:
    """Fill one slice of the log."""
    async with aclosing(History(reader).pages(up_to, slice_)) as pages:
        await filling.fill(pages)


class Fillers:
    """Makes children where they are worth it; `skip_unknown_topics` as the group has it."""

    def __init__(self, log_dsn: str, read_dsn: str, *, skip_unknown_topics: bool = False) -> None:
        self._dsns = (log_dsn, read_dsn)
        self._skip_unknown_topics = skip_unknown_topics

    async def fill(self, filling: Filling, reader: Connection, generation: int, up_to: int) -> None:
        """Fill all slices of the log, sums apart, which are in `filling` then."""
        children = _children_for(up_to)
        if not children:
            await fill_slice(filling, reader, up_to, EVERYTHING)
            return
        slices = await cut(reader, up_to, min(SLICES_MAX, 1 + up_to // EVENTS_PER_SLICE))
        waiting = list(reversed(slices))
        task = Task(*self._dsns, generation, up_to, self._skip_unknown_topics)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(children):
                    group.create_task(_by_child(task, waiting, filling))
                group.create_task(_by_this_process(waiting, filling, reader, up_to))
        except ExceptionGroup as failures:
            # The others were cancelled for the first one's sake.
            raise failures.exceptions[0] from failures


def _children_for(events: int) -> int:
    """How many children are worth their start."""
    if events <= EVENTS_FILLED_ALONE_MAX:
        return 0
    return min(FILLERS_MAX, len(os.sched_getaffinity(0))) - 1


async def _by_this_process(
    waiting: list[Slice], filling: Filling, reader: Connection, up_to: int
) -> None:
    while waiting:
        await fill_slice(filling, reader, up_to, waiting.pop())


async def _by_child(task: Task, waiting: list[Slice], filling: Filling) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", MODULE),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
    )
    try:
        await _ask(child, asdict(task))
        while waiting:
            slice_ = waiting.pop()
            await _ask(child, {"after": str(slice_.after), "up_to": str(slice_.up_to)})
            filling.add_sums(read_sums(filling.sum_tables, await _answer(child)))
    finally:
        await _end(child)


async def _ask(child: asyncio.subprocess.Process, question: Mapping[str, Any]) -> None:
    if child.stdin is None:
        raise FillerFailed(FillerFailed.__doc__)
    try:
        child.stdin.write(orjson.dumps(question) + b"\n")
        await child.stdin.drain()
    except (BrokenPipeError, ConnectionResetError) as error:
        raise FillerFailed(FillerFailed.__doc__) from error


async def _answer(child: asyncio.subprocess.Process) -> dict[str, Any]:
    line = b"" if child.stdout is None else await child.stdout.readline()
    if not line:
        raise FillerFailed(FillerFailed.__doc__)
    answer: dict[str, Any] = orjson.loads(line)
    if "error" in answer:
        raise _KNOWN.get(answer["error"], FillerFailed)(answer["told"])
    return answer


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.stdin is not None:
        child.stdin.close()
    try:
        async with asyncio.timeout(END_SECONDS_MAX):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


def read_sums(
    tables: Sequence[Table], told: Mapping[str, Sequence[list[Any]]]
) -> dict[str, Sequence[Record]]:
    """Sums as a child tells them, with times as times again."""
    return {table.name: [_record(table, one) for one in told[table.name]] for table in tables}


def _record(table: Table, values: list[Any]) -> Record:
    return [
        datetime.fromisoformat(value) if isinstance(column.type, DateTime) else value
        for column, value in zip(table.c, values, strict=True)
    ]
