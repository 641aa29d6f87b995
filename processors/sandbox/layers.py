"""Which layers this machine gives, found out by trying each in a child that is thrown away.

A layer is probed on top of those before it, as it will be used. What cannot be put up, or does not
stop what it should stop, is missing, with the reason; nothing is believed from a version number.
"""

import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from processors.sandbox.landlock import LANDLOCK
from processors.sandbox.prelude import BASIC_LAYERS, CHANNEL, Confines, Layer
from processors.sandbox.run import Isolation
from processors.sandbox.seccomp import SECCOMP
from processors.tools.base import MIB, ToolLimits

LAYERS: tuple[Layer, ...] = (*BASIC_LAYERS, LANDLOCK, SECCOMP)
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


def probed(
    libraries: Sequence[Path], without: Sequence[str] = ()
) -> tuple[tuple[Layer, ...], Isolation]:
    """The layers that hold here, but for those that are not wished, and what that amounts to."""
    holding: list[Layer] = []
    missing: list[str] = []
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        for layer in LAYERS:
            reason: str | None = LEFT_OUT
            if layer.name not in without:
                reason = _probe([*holding, layer], Path(folder), tuple(libraries))
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


def _probe(layers: list[Layer], folder: Path, libraries: tuple[Path, ...]) -> str | None:
    reading, writing = os.pipe()
    confines = Confines(os.getpid(), libraries, folder=folder, limits=PROBE_LIMITS)
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, CHANNEL)
        _try(layers, confines)
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123 (a descriptor)
        reason = pipe.read(REASON_BYTES_MAX).decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == 0:
        return None
    return reason or (f"ended by signal {-status}" if status < 0 else "does not hold")


def _try(layers: list[Layer], confines: Confines) -> NoReturn:
    status = 2
    try:
        signal.alarm(PROBE_SECONDS_MAX)
        for layer in layers:
            layer.put_up(confines)
        status = 0 if layers[-1].holds(confines) else 1
    except BaseException as error:
        os.write(CHANNEL, f"{type(error).__name__}: {error}".encode()[:REASON_BYTES_MAX])
    finally:
        os._exit(status)
