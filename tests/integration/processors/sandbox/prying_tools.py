"""A tool that tries to get out, one way at a time."""

import ctypes
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from processors.sandbox.prctl import SET_PDEATHSIG, prctl
from processors.tools.base import BaseTool, OutputFile, ToolInput, ToolLimits, ToolOptions
from processors.tools.registry import Registry

PTRACE_ATTACH, NEW_USER = 16, 0x10000000


class PryOptions(ToolOptions):
    """Which way, and what for."""

    way: str = "read"
    target: str = ""


class Pry(BaseTool[PryOptions]):
    """Tells whether a way out was open."""

    name = "pry"
    description = "For tests."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = ["text/plain"]
    limits = ToolLimits(wall_seconds=20, cpu_seconds=20, inputs_min=0, file_bytes=1024**2)
    Options = PryOptions

    async def process(self, input_data: ToolInput, options: PryOptions) -> list[OutputFile]:
        """Try it; whatever is refused raises an OSError."""
        try:
            said = WAYS[options.way](options.target) or "open"
        except OSError as error:
            said = f"refused: {error.strerror}"
        except ValueError as error:
            # What setrlimit makes of EPERM.
            said = f"refused: {error}"
        path = input_data.folder / "said.txt"
        path.write_text(said)
        return [OutputFile("said.txt", path, "text/plain")]


class PryInCompany(Pry):
    """The same, but it may have children."""

    name = "pry-in-company"
    limits = ToolLimits(wall_seconds=20, cpu_seconds=20, inputs_min=0, processes_max=4)


def _read(target: str) -> str | None:
    return Path(target).read_text()


def _list(target: str) -> str | None:
    return " ".join(os.listdir(target))  # noqa: PTH208


def _write(target: str) -> str | None:
    Path(target).write_text("mine")
    return None


def _remove(target: str) -> str | None:
    Path(target).unlink()
    return None


def _unix_socket(target: str) -> str | None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(target)
    return None


def _tcp(target: str) -> str | None:
    socket.create_connection(("127.0.0.1", int(target)), timeout=5).close()
    return None


def _signal_parent(target: str) -> str | None:
    os.kill(int(target), signal.SIGWINCH)
    return None


def _trace_parent(target: str) -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_ATTACH, int(target), 0, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return None


def _new_user(_: str) -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_USER) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return None


def _new_session(_: str) -> str | None:
    os.setpgid(0, 0)
    return None


def _fork(_: str) -> str | None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return None


def _exec(_: str) -> str | None:
    os.execv("/bin/true", ["true"])  # noqa: S606


def _more_files(_: str) -> str | None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return None


def _survive(_: str) -> str | None:
    prctl(SET_PDEATHSIG, 0)
    return None


def _udp(_: str) -> str | None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    return None


def _raw(_: str) -> str | None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return None


def _identity(_: str) -> str | None:
    return f"{os.getpid()} {os.getppid()} {len(socket.if_nameindex())}"


def _rights(_: str) -> str | None:
    status = Path("/proc/self/status").read_text()
    return next(line for line in status.splitlines() if line.startswith("CapEff"))


def _thread(_: str) -> str | None:
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append("from a thread"))
    thread.start()
    thread.join()
    return said[0]


def _library(_: str) -> str | None:
    # Not loaded before, so it is read from the disk now.
    import colorsys
    import wave

    return f"{colorsys.__name__} {wave.__name__}"


def _pair(_: str) -> str | None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"hello")
        return theirs.recv(10).decode()


WAYS: dict[str, Callable[[str], str | None]] = {
    "read": _read,
    "list": _list,
    "write": _write,
    "remove": _remove,
    "unix-socket": _unix_socket,
    "tcp": _tcp,
    "udp": _udp,
    "raw": _raw,
    "identity": _identity,
    "rights": _rights,
    "signal-parent": _signal_parent,
    "trace-parent": _trace_parent,
    "new-user": _new_user,
    "new-group": _new_session,
    "fork": _fork,
    "exec": _exec,
    "more-files": _more_files,
    "survive": _survive,
    "thread": _thread,
    "library": _library,
    "pair": _pair,
}


def registry() -> Registry:
    """Both of them."""
    return Registry((Pry, PryInCompany))
