"""Which layers this machine gives, found out by trying each in a child that is thrown away.

A layer is probed on top of those before it, as it will be used. What cannot be put up, or does not
stop what it should stop, is missing, with the reason; nothing is believed from a version number.
"""

import os
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from processors.sandbox import namespaces, prctl
from processors.sandbox.landlock import LANDLOCK
from processors.sandbox.namespaces import NAMESPACES
from processors.sandbox.prelude import BASIC_LAYERS, CHANNEL, Confines, Layer, are_readable
from processors.sandbox.run import Isolation
from processors.sandbox.seccomp import SECCOMP
from processors.tools.base import MIB, ToolLimits

LAYERS: tuple[Layer, ...] = (*BASIC_LAYERS, NAMESPACES, LANDLOCK, SECCOMP)
LEVELS: tuple[tuple[str, frozenset[str]], ...] = (
    ("L3", frozenset({"landlock", "seccomp", "namespaces"})),
    ("L2", frozenset({"seccomp"})),
    ("L1", frozenset()),
)
"""What a level needs besides all the basic layers."""
PROBE_SECONDS_MAX = 5
REASON_BYTES_MAX = 200
LEFT_OUT = "left out by a setting"
PROBE_LIMITS = ToolLimits(cpu_seconds=PROBE_SECONDS_MAX, memory_bytes=64 * MIB, file_bytes=MIB)


def probed(confines: Confines, without: Sequence[str] = ()) -> tuple[tuple[Layer, ...], Isolation]:
    """The layers that hold here, but for those that are not wished, and what that amounts to.

    Where there are namespaces this process has entered its own afterwards.
    """
    holding: list[Layer] = []
    missing: list[str] = []
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        for layer in LAYERS:
            reason: str | None = LEFT_OUT
            if layer.name not in without:
                reason = _entered(confines) if layer is NAMESPACES else None
                reason = reason or _probe([*holding, layer], Path(folder), confines)
            if reason is None:
                holding.append(layer)
            else:
                missing.append(f"{layer.name}: {reason}")
    names = tuple(layer.name for layer in holding)
    return tuple(holding), Isolation(level_of(names), names, tuple(missing))


def level_of(names: Sequence[str]) -> str:
    """The name for what some layers amount to."""
    if not {layer.name for layer in BASIC_LAYERS} <= set(names):
        return "L0"
    return next(level for level, needed in LEVELS if needed <= set(names))


def fork_for(layers: Sequence[Layer]) -> Callable[[], int]:
    """How a child is forked that has these layers."""
    return namespaces.fork if NAMESPACES in layers else os.fork


def rights_for(libraries: Sequence[Path]) -> int:
    """The capabilities that a child has to keep to read its libraries."""

    def reads_without() -> bool:
        prctl.drop_capabilities()
        return are_readable(libraries)

    return 0 if _in_child(os.fork, reads_without) is None else prctl.READ_ANYWHERE


def _entered(confines: Confines) -> str | None:
    """Enter namespaces, if that goes well in another process first."""
    reason = _in_child(os.fork, lambda: namespaces.try_to_enter(confines.libraries))
    if reason is None:
        namespaces.enter()
    return reason


def _probe(layers: list[Layer], folder: Path, confines: Confines) -> str | None:
    confines = replace(confines, folder=folder, limits=PROBE_LIMITS)

    def holds() -> bool:
        for layer in layers:
            layer.put_up(confines)
        return layers[-1].holds(confines)

    return _in_child(fork_for(layers), holds)


def _in_child(fork: Callable[[], int], attempt: Callable[[], bool]) -> str | None:
    reading, writing = os.pipe()
    pid = fork()
    if pid == 0:
        os.dup2(writing, CHANNEL)
        _try(attempt)
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123 (a descriptor)
        reason = pipe.read(REASON_BYTES_MAX).decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == 0:
        return None
    return reason or (f"ended by signal {-status}" if status < 0 else "does not hold")


def _try(attempt: Callable[[], bool]) -> NoReturn:
    status = 2
    try:
        signal.alarm(PROBE_SECONDS_MAX)
        status = 0 if attempt() else 1
    except BaseException as error:
        os.write(CHANNEL, f"{type(error).__name__}: {error}".encode()[:REASON_BYTES_MAX])
    finally:
        os._exit(status)
