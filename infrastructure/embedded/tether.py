"""Runs a program that cannot outlive its parent, as root if need be under a plain user's name.

Run by its path with `python -I -S tether.py PARENT SIGNAL IDENTITY PROGRAM ARGUMENT…`; imports
nothing of the project, so that it costs a few milliseconds. It ends in `exec`, so the program is
the parent's direct child. IDENTITY is `same`, `namespace` (a user namespace in which root looks
like user 1000: files stay root's, no account is needed) or `UID:GID`.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
PLAIN_ID = 1000
EXIT_PARENT_GONE = 70
EXIT_NO_NAMESPACE = 71


def main() -> None:
    parent, signal_number, identity = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    _become(identity)
    if sys.platform == "linux":
        # Last, because a change of user clears it.
        _libc().prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(EXIT_PARENT_GONE)
    os.execv(sys.argv[4], sys.argv[4:])  # noqa: S606


def _become(identity: str) -> None:
    if identity == "namespace":
        _enter_namespace()
    elif identity != "same":
        user, group = (int(part) for part in identity.split(":"))
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)


def _enter_namespace() -> None:
    user, group = os.geteuid(), os.getegid()
    if _libc().unshare(CLONE_NEWUSER) != 0:
        sys.exit(EXIT_NO_NAMESPACE)
    try:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{PLAIN_ID} {user} 1")
        _write("/proc/self/gid_map", f"{PLAIN_ID} {group} 1")
    except OSError:
        sys.exit(EXIT_NO_NAMESPACE)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    main()
