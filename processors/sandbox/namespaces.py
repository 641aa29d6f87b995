"""The layer `namespaces`: a run has users, a network, and processes of its own, and sees no others.

The zygote moves into namespaces of its own once, before it forks: an empty network, and a user that
is nobody elsewhere. Each child then begins a process namespace, of which it is the first process:
it sees none outside, and when it ends the kernel ends whatever it had started. No rights are needed
for it where the kernel lets ordinary users make namespaces.
"""

import ctypes
import os
import signal
import socket
from collections.abc import Iterable
from pathlib import Path

from processors.sandbox.prctl import LIBC, checked
from processors.sandbox.prelude import Confines, Layer, are_readable
from processors.sandbox.syscalls import ARCHITECTURES

NEW_UTS, NEW_IPC, NEW_USER = 0x04000000, 0x08000000, 0x10000000
NEW_PID, NEW_NET = 0x20000000, 0x40000000
OF_THE_ZYGOTE = NEW_USER | NEW_NET | NEW_IPC | NEW_UTS
LOOPBACK = "lo"
FIRST = 1
"""The number of the first process of a namespace, in there."""
ENDING = frozenset({signal.SIGABRT, signal.SIGALRM, signal.SIGTERM, signal.SIGXCPU})
"""What ends any other process by default; the first one of a namespace has to be told."""

_PYTHON = ctypes.PyDLL(None, use_errno=True)
"""Calls through it keep the interpreter's lock, as a fork has to."""


def enter() -> None:
    """Move this process, which has one thread, into namespaces of its own; raises OSError."""
    user, group = os.geteuid(), os.getegid()
    checked(LIBC.unshare(OF_THE_ZYGOTE))
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"{user} {user} 1")
    (own / "gid_map").write_text(f"{group} {group} 1")


def fork() -> int:
    """Like os.fork, but the child is the first process of a namespace; raises OSError.

    The C library does not offer it. What it would do beside the call concerns other threads, and
    there are none.
    """
    clone = ARCHITECTURES[os.uname().machine].calls["clone"]
    arguments = [ctypes.c_long(n) for n in (clone, NEW_PID | signal.SIGCHLD, 0, 0, 0, 0)]
    _PYTHON.PyOS_BeforeFork()
    pid = int(_PYTHON.syscall(*arguments))
    if pid == 0:
        _PYTHON.PyOS_AfterFork_Child()
        return 0
    _PYTHON.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return pid


def try_to_enter(libraries: Iterable[Path]) -> bool:
    """Do all of it in a process that is thrown away; raises OSError."""
    enter()
    if not are_readable(libraries):
        raise PermissionError("the libraries are read by a right that does not hold in there")
    pid = fork()
    if pid == 0:
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def status_of(exit_code: int) -> int:
    """The exit code of a first process, or the negative number of the signal that it stands for."""
    return -exit_code if exit_code in ENDING else exit_code


def is_first() -> bool:
    """Whether this process is the first of its namespace."""
    return os.getpid() == FIRST


def _put_up(_: Confines) -> None:
    """The walls stand since the fork; but the first process has to be told what should end it."""
    if not is_first():
        raise OSError("not the first process of a namespace")
    end = ctypes.cast(LIBC._exit, ctypes.c_void_p)
    LIBC.signal.restype = ctypes.c_void_p
    for number in ENDING:
        # The handler gets the signal's number, which becomes the exit code.
        LIBC.signal(int(number), end)


def _holds(confines: Confines) -> bool:
    if not is_first() or {name for _, name in socket.if_nameindex()} - {LOOPBACK}:
        return False
    try:
        os.kill(confines.parent, 0)
    except ProcessLookupError:
        return True
    return False


NAMESPACES = Layer("namespaces", _put_up, _holds, is_early=True)
