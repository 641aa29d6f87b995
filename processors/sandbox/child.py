"""The life of one child: read the order, put up the walls, run the tool, tell the result, end.

It never returns to the zygote that forked it, and it runs no exit handlers, which belong to the
zygote.
"""

import asyncio
import contextlib
import io
import logging
import os
import select
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from socket import recv_fds, socket, socketpair
from typing import NoReturn, TextIO

from pydantic import BaseModel, ValidationError

from processors.sandbox.execution import execute
from processors.sandbox.frames import (
    MESSAGE_LENGTH_MAX,
    ErrorFrame,
    Order,
    ProgressFrame,
    ResultFrame,
    packed,
    receive_order,
)
from processors.sandbox.prelude import CHANNEL, Confines, Layer
from processors.sandbox.run import ToolRun
from processors.tools.base import BadOutput, ToolCrashed, ToolLimits, ToolProcessingError
from processors.tools.registry import Registry, ToolNotFound, ToolUnavailable
from processors.tools.stacks import stack_of

PROGRESS_PER_SECOND_MAX = 20
PROGRESS_AT_ONCE_MAX = 20
"""A few quick steps are all told; a flood is not."""
EXIT_DONE, EXIT_FAILED = 0, 70
STDOUT, STDERR = 1, 2
LOG_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s"
LOG_TIME_FORMAT = "%H:%M:%S"


@dataclass(frozen=True, slots=True)
class Upbringing:
    """What a zygote gives to all its children."""

    registry: Registry
    layers: tuple[Layer, ...]
    confines: Confines


def live(waiting: int, upbringing: Upbringing) -> NoReturn:
    """Be a child: wait for a run at a descriptor, then run it; ends without one at its end."""
    status = EXIT_FAILED
    # Whatever had this number was the zygote's, which has its own copy.
    os.dup2(waiting, CHANNEL, inheritable=False)
    try:
        for layer in upbringing.layers:
            if layer.is_early:
                layer.put_up(upbringing.confines)
        if not _is_wanted():
            warm_up(upbringing.registry, rounds=1)
        loop = asyncio.new_event_loop()
        if _await_run():
            status = _run(loop, upbringing)
    finally:
        os._exit(status)


def _is_wanted() -> bool:
    """Whether a run is there already: then there is nothing to prepare for."""
    return bool(select.select([CHANNEL], [], [], 0)[0])


def _await_run() -> bool:
    """Exchange the way to the zygote for the way to the worker; False when the zygote is gone."""
    with socket(fileno=CHANNEL) as waiting:
        _, descriptors, _, _ = recv_fds(waiting, 1, 2)
        if descriptors:
            channel, output = descriptors
            os.dup2(channel, CHANNEL, inheritable=False)
            for stream in (STDOUT, STDERR):
                os.dup2(output, stream)
            for descriptor in descriptors:
                os.close(descriptor)
        waiting.detach()
    return bool(descriptors)


def prepare_streams() -> None:
    """Make the streams that all children print and log to, once, in the zygote.

    A stream finds out when it is made whether it can be sought in, and a run's cannot: so they are
    made while a pipe is in the place where a child will have one.
    """
    ends, own = os.pipe(), {stream: os.dup(stream) for stream in (STDOUT, STDERR)}
    for stream in own:
        os.dup2(ends[1], stream)
    _write_through()
    for stream, kept in own.items():
        os.dup2(kept, stream)
    for descriptor in (*ends, *own.values()):
        os.close(descriptor)


def _write_through() -> None:
    """Let all that is printed and logged get out at once: the next moment may be the last."""
    sys.stdout, sys.stderr = _writer(STDOUT), _writer(STDERR)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(LOG_FORMAT, LOG_TIME_FORMAT))
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.INFO)
    logging.raiseExceptions = False


def _writer(descriptor: int) -> TextIO:
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), "utf-8", errors="backslashreplace", line_buffering=True
    )


def _write_line(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _run(loop: asyncio.AbstractEventLoop, upbringing: Upbringing) -> int:
    channel = _Channel(socket(fileno=CHANNEL))
    try:
        run = channel.receive()
        paths = tuple(file.path for file in run.inputs)
        confines = replace(upbringing.confines, folder=run.folder, inputs=paths, limits=run.limits)
        for layer in upbringing.layers:
            if not layer.is_early:
                layer.put_up(confines)
    except Exception as error:
        message = "The tool's process could not be set up."
        channel.send(ErrorFrame.of(ToolCrashed(message, stack=stack_of(error))))
        return EXIT_FAILED
    # Not asyncio.run: there is nothing to clean up in a process that ends here.
    ending = loop.run_until_complete(_ending(run, upbringing.registry, channel))
    _flush()
    channel.send(ending)
    return EXIT_DONE


def warm_up(registry: Registry, rounds: int) -> None:
    """Go through what every run does, before there is one.

    The interpreter rewrites code in its first rounds, and each page that a child is the first to
    write to has to be copied; so the zygote does it some times and a waiting child once more.
    """
    run = ToolRun("no-op", {}, (), Path("/nonexistent"), ToolLimits())
    for _ in range(rounds):
        ours, theirs = socketpair()
        with ours, theirs:
            ours.sendall(packed(Order.of(run)))
            channel = _Channel(theirs)
            order = channel.receive()
            with contextlib.closing(asyncio.new_event_loop()) as loop:
                channel.send(loop.run_until_complete(_ending(order, registry, channel)))


async def _ending(run: ToolRun, registry: Registry, channel: "_Channel") -> BaseModel:
    try:
        result = await execute(registry.get(run.tool), run, channel.progress, _write_line)
        return ResultFrame.of(result)
    except ToolProcessingError as error:
        return ErrorFrame.of(error)
    except (ToolNotFound, ToolUnavailable) as error:
        return ErrorFrame.of(ToolCrashed(stack=stack_of(error)))
    except ValidationError:
        return ErrorFrame.of(BadOutput("The tool described its outputs in a way that cannot be."))


class _Channel:
    """The way to the worker; frames may be sent from any thread."""

    def __init__(self, channel: socket) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._words = float(PROGRESS_AT_ONCE_MAX)
        self._counted_at = time.monotonic()

    def receive(self) -> ToolRun:
        return receive_order(self._channel).run()

    def send(self, frame: BaseModel) -> None:
        with self._lock:
            self._channel.sendall(packed(frame))

    def progress(self, fraction: float, message: str) -> None:
        now = time.monotonic()
        gained = (now - self._counted_at) * PROGRESS_PER_SECOND_MAX
        self._words = min(self._words + gained, PROGRESS_AT_ONCE_MAX)
        self._counted_at = now
        if self._words >= 1:
            self._words -= 1
            bounded = min(max(fraction, 0.0), 1.0)
            self.send(ProgressFrame(progress=bounded, message=message[:MESSAGE_LENGTH_MAX]))
