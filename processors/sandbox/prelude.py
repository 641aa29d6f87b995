"""What a child does to itself before it touches a file of somebody else.

The prelude is a list of named layers. Each knows how to put itself on, and how to try, in a child
that is thrown away, whether it really holds; a layer that does not hold on this machine is left out
and named. A new kind of wall is one more layer.
"""

import contextlib
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from processors.sandbox import prctl
from processors.sandbox.proc import mapped_bytes
from processors.tools.base import MIB, ToolLimits

CHANNEL = 3
"""The only descriptor that a child keeps besides the standard ones, which lead nowhere."""
DESCRIPTORS_MAX = 256
CPU_GRACE_SECONDS = 2
THREADS_BYTES = 192 * MIB
"""Address space for the stacks and heaps of threads; it is reserved, hardly ever used."""
PROBE_BYTES = 64 * MIB
"""So much beyond the limit has to be refused; freed memory may be used again below it."""
KEPT_VARIABLES = ("PATH", "LANG", "LD_LIBRARY_PATH", "MALLOC_ARENA_MAX", "OMP_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Confines:
    """What one child may have."""

    parent: int
    """The zygote, with which it ends."""
    libraries: tuple[Path, ...]
    """Folders of code that may be read."""
    folder: Path = Path("/nonexistent")
    inputs: tuple[Path, ...] = ()
    limits: ToolLimits = field(default_factory=ToolLimits)
    rights: int = 0
    """Capabilities without which the libraries cannot be read; usually none."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One wall: how to put it up, and whether it holds once it is up."""

    name: str
    put_up: Callable[[Confines], None]
    holds: Callable[[Confines], bool]
    is_early: bool = False
    """Needs nothing of the run, so a child puts it up while it waits for one."""
    prepare: Callable[[Confines], None] = lambda _: None
    """What is the same for all children, done once by the zygote: a child pays for every page of
    memory that it is the first to write to."""


def _lead_a_session(_: Confines) -> None:
    os.setsid()


def _leads_a_session(_: Confines) -> bool:
    return os.getsid(0) == os.getpid() == os.getpgrp()


def _die_with_zygote(confines: Confines) -> None:
    prctl.die_with_parent(confines.parent, signal.SIGKILL)


def _dies_with_zygote(_: Confines) -> bool:
    return prctl.parent_death_signal() == signal.SIGKILL


def _close_descriptors(_: Confines) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard, inheritable=True)
    if not prctl.close_from(CHANNEL + 1):
        for descriptor in _open_descriptors():
            if descriptor > CHANNEL:
                _close_if_open(descriptor)


def _close_if_open(descriptor: int) -> None:
    # The listing itself used one that is closed by now.
    with contextlib.suppress(OSError):
        os.close(descriptor)


def _open_descriptors() -> list[int]:
    return [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]


def _has_no_descriptors(_: Confines) -> bool:
    return max(_open_descriptors()) <= CHANNEL + 1


def _make_private(_: Confines) -> None:
    os.umask(0o077)


def _is_private(_: Confines) -> bool:
    return os.umask(0o077) == 0o077


def _enter_folder(confines: Confines) -> None:
    os.chdir(confines.folder)
    tempfile.tempdir = str(confines.folder)


def _is_in_folder(confines: Confines) -> bool:
    return Path.cwd().samefile(confines.folder)


def _forget_environment(_: Confines) -> None:
    for name in set(os.environ) - set(KEPT_VARIABLES):
        del os.environ[name]


def _empty_environment(confines: Confines) -> None:
    # Nothing is left to forget where the zygote has done so before it forked.
    _forget_environment(confines)
    os.environ["HOME"] = os.environ["TMPDIR"] = str(confines.folder)


def _has_no_environment(_: Confines) -> bool:
    return set(os.environ) <= {*KEPT_VARIABLES, "HOME", "TMPDIR"}


def _reset_signals(_: Confines) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _has_default_signals(_: Confines) -> bool:
    return signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def _limit_resources(confines: Confines) -> None:
    limits = confines.limits
    address_space = mapped_bytes() + limits.memory_bytes + THREADS_BYTES
    cpu = limits.cpu_seconds
    # The kernel adds the second limit as a kill for whoever ignores the signal of the first.
    for kind, soft, hard in (
        (resource.RLIMIT_AS, address_space, address_space),
        (resource.RLIMIT_CPU, cpu, cpu + CPU_GRACE_SECONDS),
        (resource.RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes),
        (resource.RLIMIT_NOFILE, DESCRIPTORS_MAX, DESCRIPTORS_MAX),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))


def _has_limits(confines: Confines) -> bool:
    try:
        bytearray(confines.limits.memory_bytes + THREADS_BYTES + PROBE_BYTES)
    except MemoryError:
        return _file_is_limited(confines)
    return False


def _file_is_limited(confines: Confines) -> bool:
    path = confines.folder / "probe-file"
    try:
        path.write_bytes(bytes(confines.limits.file_bytes + 1))
    except OSError:
        return True
    finally:
        path.unlink(missing_ok=True)
    return False


def _give_up_privileges(_: Confines) -> None:
    prctl.give_up_new_privileges()


def _gave_up_privileges(_: Confines) -> bool:
    return prctl.has_given_up_new_privileges()


def _drop_capabilities(confines: Confines) -> None:
    prctl.drop_capabilities(confines.rights)


def _has_no_capabilities(confines: Confines) -> bool:
    return prctl.effective_capabilities() & ~confines.rights == 0


def are_readable(libraries: Iterable[Path]) -> bool:
    """Whether this process can read in all these folders."""
    try:
        for library in libraries:
            os.scandir(library).close()
    except PermissionError:
        return False
    return True


def outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Those that lie below no other of them."""
    distinct = sorted(set(paths))
    return tuple(path for path in distinct if not set(path.parents) & set(distinct))


BASIC_LAYERS: tuple[Layer, ...] = (
    Layer("session", _lead_a_session, _leads_a_session, is_early=True),
    Layer("parent-death", _die_with_zygote, _dies_with_zygote, is_early=True),
    Layer("signals", _reset_signals, _has_default_signals, is_early=True),
    Layer("descriptors", _close_descriptors, _has_no_descriptors, is_early=True),
    Layer("umask", _make_private, _is_private, is_early=True),
    Layer("no-new-privileges", _give_up_privileges, _gave_up_privileges, is_early=True),
    Layer("capabilities", _drop_capabilities, _has_no_capabilities, is_early=True),
    Layer("folder", _enter_folder, _is_in_folder),
    Layer("environment", _empty_environment, _has_no_environment, prepare=_forget_environment),
    Layer("rlimits", _limit_resources, _has_limits),
)
