"""Under whose name PostgreSQL runs: it refuses to be root.

Root gets a user namespace in which it looks like a plain user: files stay root's, so the data
folder may lie under folders that only root may enter. Where namespaces are forbidden, root borrows
an unprivileged account, to which the server's folder then belongs.
"""

import os
import pwd
import subprocess
import sys
from pathlib import Path

from infrastructure.embedded import tether
from infrastructure.embedded.errors import NoPlainUser
from infrastructure.embedded.program import SAME_USER

NAMESPACE = "namespace"
ACCOUNTS = ("postgres", "nobody")
PROBE_SECONDS = 10.0
EXIT_TOO_LONG = 124


def choose_identity(folder: Path, binary: Path) -> str:
    """How the tether has to run PostgreSQL here, its folder being `folder`."""
    if os.geteuid() != 0:
        return SAME_USER
    if runs_as(NAMESPACE, Path(sys.executable), "-I", "-S", "-c", ""):
        return NAMESPACE
    return borrow_account(folder, binary)


def borrow_account(folder: Path, binary: Path) -> str:
    """Give the folder to an unprivileged account that can reach it and the program."""
    account = _account()
    identity = f"{account.pw_uid}:{account.pw_gid}"
    if not runs_as(identity, binary, "--version"):
        raise NoPlainUser(f"the account {account.pw_name} cannot run {binary}")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    if not runs_as(identity, Path("/bin/sh"), "-c", 'cd "$0"', str(folder)):
        raise NoPlainUser(f"the account {account.pw_name} cannot enter {folder}")
    return identity


def _account() -> pwd.struct_passwd:
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPlainUser(f"there is no account called {' or '.join(ACCOUNTS)}")


def run_as(identity: str, *argv: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a program to its end under that identity; one that takes too long has failed."""
    prefix = [sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid()), "9"]
    try:
        return subprocess.run(  # noqa: S603
            [*prefix, identity, *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, EXIT_TOO_LONG, "", f"no end after {seconds} s")


def runs_as(identity: str, program: Path, *arguments: str) -> bool:
    """Whether the program runs, and succeeds, under that identity."""
    return run_as(identity, str(program), *arguments, seconds=PROBE_SECONDS).returncode == 0
