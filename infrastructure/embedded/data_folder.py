"""The data folder: everything one platform keeps, and the lock that makes it one platform's alone.

The folder can be read by its owner only. The lock is the kernel's (`flock`), so it ends with the
process that holds it, however that one ends; the process id in the lock file is only for the
message. What lies inside the server's own folders belongs to the servers.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from infrastructure.embedded.errors import DataFolderInUse

OWNER_ONLY_FOLDER = 0o700
OWNER_ONLY_FILE = 0o600


class DataFolder:
    """A locked data folder; a context manager that gives the lock back."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    def __enter__(self) -> Self:
        self.path.mkdir(mode=OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
        self._lock = _lock(self.path)
        for folder in (self.logs, self.run, self.blobs, self.work):
            folder.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.path / "logs"

    @property
    def run(self) -> Path:
        """One file per living process, with its process id."""
        return self.path / "run"

    @property
    def blobs(self) -> Path:
        """The bytes of files."""
        return self.path / "blobs"

    @property
    def work(self) -> Path:
        """Where tools work."""
        return self.path / "work"

    def log_of(self, name: str) -> Path:
        """Where the output of the process called `name` goes."""
        return self.logs / f"{name}.log"

    def pid_of(self, name: str) -> Path:
        """Where the process id of the process called `name` stands."""
        return self.run / f"{name}.pid"

    def server(self, name: str) -> Path:
        """The folder of one server, made if it is missing."""
        folder = self.path / name
        folder.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
        return folder


def _lock(folder: Path) -> int:
    path = folder / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "(unknown)"
        os.close(descriptor)
        raise DataFolderInUse(folder, holder) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def write_owner_only(path: Path, text: str) -> None:
    """Replace a file by one that only its owner ever could read, all or nothing."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY_FILE)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
