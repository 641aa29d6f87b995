"""The life of one child: read the order, put up the walls, run the tool, tell the result, end.

It never returns to the zygote that forked it, and it runs no exit handlers, which belong to the
zygote.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from socket import socket, socketpair
from typing import NoReturn

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

PROGRESS_SECONDS_MIN = 0.05
WARM_UP_ROUNDS = 20
EXIT_DONE, EXIT_FAILED = 0, 70


def live(
    descriptor: int,
    registry: Registry,
    layers: Sequence[Layer],
    libraries: tuple[Path, ...],
    zygote: int,
) -> NoReturn:
    """Be the child; `descriptor` leads to the worker."""
    status = EXIT_FAILED
    # Whatever had this number was the zygote's, which has its own copy.
    os.dup2(descriptor, CHANNEL, inheritable=False)
    channel = _Channel(socket(fileno=CHANNEL))
    try:
        run = channel.receive()
        confines = Confines(
            folder=run.folder,
            inputs=tuple(file.path for file in run.inputs),
            limits=run.limits,
            parent=zygote,
            libraries=libraries,
        )
        for layer in layers:
            layer.put_up(confines)
        # Not asyncio.run: there is nothing to clean up in a process that ends here.
        loop = asyncio.new_event_loop()
        channel.send(loop.run_until_complete(_ending(run, registry, channel)))
        status = EXIT_DONE
    except BaseException as error:
        with contextlib.suppress(OSError):
            message = "The tool's process could not be set up."
            channel.send(ErrorFrame.of(ToolCrashed(message, stack=stack_of(error))))
    os._exit(status)


def warm_up(registry: Registry) -> None:
    """Go through what every child will do, so that less of it is new to the fork.

    The interpreter rewrites code in its first rounds, and each page so written in a child is a
    page to be copied.
    """
    run = ToolRun("no-op", {}, (), Path("/nonexistent"), ToolLimits())
    for _ in range(WARM_UP_ROUNDS):
        ours, theirs = socketpair()
        with ours, theirs:
            ours.sendall(packed(Order.of(run)))
            channel = _Channel(theirs)
            order = channel.receive()
            with contextlib.closing(asyncio.new_event_loop()) as loop:
                channel.send(loop.run_until_complete(_ending(order, registry, channel)))


async def _ending(run: ToolRun, registry: Registry, channel: "_Channel") -> BaseModel:
    try:
        result = await execute(registry.get(run.tool), run, channel.progress)
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
        self._next_progress = 0.0

    def receive(self) -> ToolRun:
        return receive_order(self._channel).run()

    def send(self, frame: BaseModel) -> None:
        with self._lock:
            self._channel.sendall(packed(frame))

    def progress(self, fraction: float, message: str) -> None:
        now = time.monotonic()
        if now >= self._next_progress:
            self._next_progress = now + PROGRESS_SECONDS_MIN
            bounded = min(max(fraction, 0.0), 1.0)
            self.send(ProgressFrame(progress=bounded, message=message[:MESSAGE_LENGTH_MAX]))
