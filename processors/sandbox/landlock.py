"""The layer `landlock`: a child reads its inputs and its libraries, writes its folder, and no more.

Where the kernel can do it, TCP and signals to processes outside are shut as well. It does not stop
connecting to a Unix socket by its path; seccomp does.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from processors.sandbox.prctl import LIBC, checked
from processors.sandbox.prelude import Confines, Layer, outermost

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION = 1
PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE = 1 << 4, 1 << 5
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK = 1 << 6, 1 << 7, 1 << 8, 1 << 9
MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = 1 << 10, 1 << 11, 1 << 12
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
ABSTRACT_SOCKETS, SIGNALS = 1 << 0, 1 << 1

READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
WRITE = READ | WRITE_FILE | TRUNCATE | REMOVE_DIR | REMOVE_FILE | REFER
MAKE = MAKE_DIR | MAKE_REG | MAKE_SYM | MAKE_FIFO
SYSTEM_FOLDERS = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime")
DEVICES = ("/dev/urandom", "/dev/random", "/dev/zero")


def _put_up(confines: Confines) -> None:
    version = _call(CREATE_RULESET, None, 0, ASK_VERSION)
    rights = handled(version)
    attributes = struct.pack("=QQQ", *rights)[: 8 * fields(version)]
    ruleset = _call(CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for path, access in _rules(confines):
            _allow(ruleset, path, access & rights[0])
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def handled(version: int) -> tuple[int, int, int]:
    """What a ruleset of that version takes away: of files, of the network, of other processes."""
    files = (1 << 13) - 1
    for since, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
        files |= right if version >= since else 0
    network = BIND_TCP | CONNECT_TCP if version >= 4 else 0
    others = ABSTRACT_SOCKETS | SIGNALS if version >= 6 else 0
    return files, network, others


def fields(version: int) -> int:
    """How many words its attributes have."""
    return 1 if version < 4 else 2 if version < 6 else 3


def _rules(confines: Confines) -> Iterator[tuple[Path, int]]:
    yield confines.folder, WRITE | MAKE
    yield Path("/dev/null"), READ_FILE | WRITE_FILE
    # By its number out there, which need not be the one that it knows itself.
    yield Path("/proc/self").resolve(), READ
    for path in confines.inputs:
        yield path, READ_FILE
    # Programs lie among the libraries; a tool that may have no company is refused to start any.
    for library in confines.libraries:
        yield library, RUN
    yield from _of_the_system()


@cache
def _of_the_system() -> tuple[tuple[Path, int], ...]:
    # On most systems some of these folders are other names of others.
    folders = dict.fromkeys(Path(name).resolve() for name in SYSTEM_FOLDERS)
    readable = [(path, RUN) for path in outermost(folders)]
    return (*readable, *((Path(name), READ_FILE) for name in DEVICES))


def _prepare(_: Confines) -> None:
    _of_the_system()


def _allow(ruleset: int, path: Path, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        # Not every system has every folder; what is not there need not be allowed.
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            access &= OF_FILES
        _call(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", access, descriptor), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: int | bytes | None) -> int:
    converted = [
        ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments
    ]
    return checked(LIBC.syscall(ctypes.c_long(number), *converted))


def _holds(confines: Confines) -> bool:
    (confines.folder / "landlock-probe").touch()
    (confines.folder / "landlock-probe").unlink()
    return all(map(_is_refused, ("/etc/passwd", "/etc", "/proc/1/status")))


def _is_refused(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except (PermissionError, FileNotFoundError):
        return True
    return False


LANDLOCK = Layer("landlock", _put_up, _holds, prepare=_prepare)
