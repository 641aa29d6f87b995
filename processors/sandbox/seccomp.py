"""The layer `seccomp`: system calls that no tool needs are refused with EPERM.

Sockets, other processes' memory, mounts, namespaces, keys, clocks, the way out of the session and
up in rights. A tool that may have one process cannot start another one. What is not named here is
allowed: the layer narrows the kernel's surface, it does not list what libraries may do.
"""

import ctypes
import errno
import os
import socket
import struct
from functools import cache

from processors.sandbox import namespaces, prctl
from processors.sandbox.prelude import Confines, Layer
from processors.sandbox.syscalls import ALWAYS_REFUSED, ARCHITECTURES, REFUSED_WHEN_ALONE

SET_SECCOMP, MODE_FILTER = 22, 2
LOAD_WORD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | errno.EPERM
NOT_KNOWN = 0x00050000 | errno.ENOSYS
X32_CALLS = 0x40000000
CLONE_THREAD = 0x00010000
CLONE_NAMESPACES = 0x7E020080
SET_PDEATHSIG = 1


class NotSupported(OSError):
    """The filter is not written for this kind of processor."""


def _instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


def _load(offset: int) -> bytes:
    return _instruction(LOAD_WORD, offset)


def _return(action: int) -> bytes:
    return _instruction(RETURN, action)


def _argument(index: int) -> int:
    # The low half; both kinds of processors that are supported are little-endian.
    return ARGUMENTS_AT + 8 * index


def _call_is(number: int, body: bytes) -> bytes:
    """Run some instructions, which all end in a return, for one system call only."""
    return _instruction(JUMP_EQUAL, number, 0, len(body) // 8) + body


@cache
def program(machine: str, pid: int, *, alone: bool) -> bytes:
    """The filter of a child, as the kernel wants it."""
    if machine not in ARCHITECTURES:
        raise NotSupported(errno.ENOSYS, f"no filter for {machine}")
    architecture = ARCHITECTURES[machine]
    calls = architecture.calls
    refused = ALWAYS_REFUSED | (REFUSED_WHEN_ALONE if alone else frozenset())
    parts = [
        _load(ARCHITECTURE_AT),
        _instruction(JUMP_EQUAL, architecture.audit, 1, 0),
        _return(REFUSE),
        _load(NUMBER_AT),
        _instruction(JUMP_GREATER_EQUAL, X32_CALLS, 0, 1),
        _return(REFUSE),
    ]
    parts += [_call_is(calls[name], _return(REFUSE)) for name in sorted(refused & set(calls))]
    parts.append(_call_is(calls["clone3"], _return(NOT_KNOWN)))
    parts.append(_call_is(calls["clone"], _clone(alone=alone)))
    parts.append(_call_is(calls["prctl"], _unless_argument_is(0, SET_PDEATHSIG)))
    parts.append(_call_is(calls["prlimit64"], _only_when_argument_is(2, 0, wide=True)))
    if alone:
        parts.append(_call_is(calls["kill"], _only_when_argument_is(0, pid)))
        parts.append(_call_is(calls["tgkill"], _only_when_argument_is(0, pid)))
    parts.append(_return(ALLOW))
    return b"".join(parts)


def _clone(*, alone: bool) -> bytes:
    """Threads are let through, and processes that are not alone; new namespaces never are.

    clone3 hides its flags behind a pointer, so it is "not known" and libraries take clone.
    """
    namespaces = _load(_argument(0)) + _instruction(JUMP_SET, CLONE_NAMESPACES, 0, 1)
    thread = _instruction(JUMP_SET, CLONE_THREAD, 1, 0) + _return(REFUSE)
    return namespaces + _return(REFUSE) + (thread if alone else b"") + _return(ALLOW)


def _unless_argument_is(index: int, value: int) -> bytes:
    test = _instruction(JUMP_EQUAL, value, 0, 1)
    return _load(_argument(index)) + test + _return(REFUSE) + _return(ALLOW)


def _only_when_argument_is(index: int, value: int, *, wide: bool = False) -> bytes:
    test = _load(_argument(index)) + _instruction(JUMP_EQUAL, value, 1, 0) + _return(REFUSE)
    if wide:
        test += _load(_argument(index) + 4) + _instruction(JUMP_EQUAL, 0, 1, 0) + _return(REFUSE)
    return test + _return(ALLOW)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _prepare(_: Confines) -> None:
    for alone in (True, False):
        program(os.uname().machine, namespaces.FIRST, alone=alone)


def _put_up(confines: Confines) -> None:
    alone = confines.limits.processes_max == 1
    code = program(os.uname().machine, os.getpid(), alone=alone)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter_ = _Program(len(code) // 8, ctypes.addressof(buffer))
    prctl.prctl(SET_SECCOMP, MODE_FILTER, ctypes.addressof(filter_))


def _holds(_: Confines) -> bool:
    try:
        socket.socket(socket.AF_UNIX).close()
    except PermissionError:
        pair = socket.socketpair()
        for end in pair:
            end.close()
        return True
    return False


SECCOMP = Layer("seccomp", _put_up, _holds, prepare=_prepare)
