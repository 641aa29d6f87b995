"""The calls of prctl(2) that the standard library lacks."""

import ctypes
import os
import signal
import struct
from pathlib import Path

SET_PDEATHSIG, GET_PDEATHSIG = 1, 2
SET_CHILD_SUBREAPER = 36
SET_NO_NEW_PRIVS, GET_NO_NEW_PRIVS = 38, 39

CAPABILITY_VERSION = 0x20080522
READ_ANYWHERE = 1 << 2
"""CAP_DAC_READ_SEARCH: read whatever its permissions are."""

LIBC = ctypes.CDLL(None, use_errno=True)
LAST_DESCRIPTOR = 2**32 - 1


def prctl(option: int, *arguments: int) -> int:
    """Call prctl(2); raises OSError."""
    padded = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    return checked(LIBC.prctl(option, *padded))


def checked(result: int) -> int:
    """The result of a C call, or the OSError that it left."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def close_from(first: int) -> bool:
    """Close all descriptors from one on in a single call; False where there is no such call."""
    try:
        closed = LIBC.close_range(ctypes.c_uint(first), ctypes.c_uint(LAST_DESCRIPTOR), 0)
    except AttributeError:
        # The C library is older than 2.34.
        return False
    return bool(closed == 0)


def die_with_parent(parent: int, number: signal.Signals) -> None:
    """Get a signal when the parent ends; ends at once when it already has."""
    prctl(SET_PDEATHSIG, number)
    # 0: the parent is outside of this process's namespace, and the channel to it tells its end.
    if os.getppid() not in (parent, 0):
        os.kill(os.getpid(), signal.SIGKILL)


def parent_death_signal() -> int:
    """The signal that this process gets when its parent ends; 0 for none."""
    number = ctypes.c_int()
    checked(LIBC.prctl(GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0))
    return number.value


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends."""
    prctl(SET_CHILD_SUBREAPER, 1)


def give_up_new_privileges() -> None:
    """No program that is started from here on gains rights; sandboxing calls need it."""
    prctl(SET_NO_NEW_PRIVS, 1)


def has_given_up_new_privileges() -> bool:
    """Whether `give_up_new_privileges` holds."""
    return prctl(GET_NO_NEW_PRIVS) == 1


def drop_capabilities(keep: int = 0) -> None:
    """Give up what root may do, and what the owner of a namespace may; raises OSError."""
    header = struct.pack("=Ii", CAPABILITY_VERSION, 0)
    # Effective, permitted and inheritable, the low halves first.
    checked(LIBC.capset(header, struct.pack("=6I", keep, keep, 0, 0, 0, 0)))


def effective_capabilities() -> int:
    """What is left of them, as bits."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("CapEff:")).split()[1], 16)
