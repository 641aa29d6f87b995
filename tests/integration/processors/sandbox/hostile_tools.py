"""Tools that do what a sandbox has to stand; some are merely curious."""

import asyncio
import ctypes
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import ClassVar, Literal

from processors.sandbox.prelude import CHANNEL
from processors.tools.base import (
    MIB,
    BaseTool,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolProcessingError,
)
from processors.tools.no_op import NoOp
from processors.tools.registry import Registry

PIDS = "pids"
CHILDREN = 3


class Hostile(BaseTool[ToolOptions]):
    """The base of all of them: takes any input, makes a text."""

    description = "For tests."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = ["text/plain", "application/json"]
    limits = ToolLimits(
        wall_seconds=20,
        cpu_seconds=20,
        memory_bytes=256 * MIB,
        file_bytes=8 * MIB,
        outputs_bytes=16 * MIB,
        outputs_max=3,
        inputs_min=0,
        processes_max=10,
    )
    Options = ToolOptions

    async def process(self, input_data: ToolInput, options: ToolOptions) -> list[OutputFile]:
        """Do the deed."""
        self.act(input_data)
        return []

    def act(self, input_data: ToolInput) -> None:
        """The deed."""


def note_pid(folder: Path) -> None:
    """Tell the test who is there, by the number that it has outside of its namespace."""
    number = os.readlink("/proc/self")  # noqa: PTH115
    with (folder / PIDS).open("a") as stream:
        stream.write(f"{number}\n")


def rest() -> None:
    """Wait far longer than any test."""
    time.sleep(3_600)


def text_file(folder: Path, text: str = "text", name: str = "out.txt") -> OutputFile:
    """Make an output as it should be."""
    path = folder / name
    path.write_text(text)
    return OutputFile(name, path, "text/plain")


class Sleeper(Hostile):
    """Waits, and says so."""

    name = "sleeper"

    async def process(self, input_data: ToolInput, options: ToolOptions) -> list[OutputFile]:
        """Wait far longer than any test."""
        note_pid(input_data.folder)
        input_data.progress(0.5, "asleep")
        await asyncio.sleep(3_600)
        return []


class Looper(Hostile):
    """Loops with children of its own, deaf to SIGTERM."""

    name = "looper"
    limits = ToolLimits(wall_seconds=0.5, outputs_max=0, inputs_min=0, processes_max=10)

    def act(self, input_data: ToolInput) -> None:
        """Loop for ever, four times."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for _ in range(CHILDREN):
            if os.fork() == 0:
                break
        note_pid(input_data.folder)
        while True:
            time.sleep(0.05)


class Runaway(Hostile):
    """Leaves a process behind that has left the session, and ends well."""

    name = "runaway"

    async def process(self, input_data: ToolInput, options: ToolOptions) -> list[OutputFile]:
        """Fork twice, as daemons do."""
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.write(writing, str(os.getpid()).encode())
                rest()
            os._exit(0)
        return [text_file(input_data.folder, os.read(reading, 32).decode())]


class Multiplier(Hostile):
    """Starts more processes than it may."""

    name = "multiplier"
    limits = ToolLimits(wall_seconds=20, outputs_max=0, inputs_min=0, processes_max=4)

    def act(self, input_data: ToolInput) -> None:
        """Ten, and wait."""
        for _ in range(9):
            if os.fork() == 0:
                break
        note_pid(input_data.folder)
        rest()


class Bomb(Hostile):
    """Forks as fast as it can, and so does every child."""

    name = "bomb"
    limits = ToolLimits(wall_seconds=20, outputs_max=0, inputs_min=0, processes_max=4)

    def act(self, input_data: ToolInput) -> None:
        """Two, four, eight, …, a thousand."""
        for _ in range(10):
            os.fork()
        rest()


class Hog(Hostile):
    """Takes all memory there is."""

    name = "hog"

    def act(self, input_data: ToolInput) -> None:
        """Take it in one go."""
        bytearray(64 * 1024 * MIB)


class Herd(Hostile):
    """Takes memory in many processes, each of which stays below the limit."""

    name = "herd"

    def act(self, input_data: ToolInput) -> None:
        """Four times 100 MiB."""
        for _ in range(3):
            if os.fork() == 0:
                break
        note_pid(input_data.folder)
        taken = bytearray(b"x" * (100 * MIB))
        rest()
        del taken


class BigFile(Hostile):
    """Writes a file that is too large."""

    name = "big-file"

    def act(self, input_data: ToolInput) -> None:
        """Write until it is not let."""
        with (input_data.folder / "big").open("wb") as stream:
            for _ in range(64):
                stream.write(bytes(MIB))
                stream.flush()


class Filler(Hostile):
    """Fills the disk with files that are each small enough."""

    name = "filler"

    def act(self, input_data: ToolInput) -> None:
        """Write twice of what is allowed, and wait."""
        for number in range(8):
            (input_data.folder / f"part{number}").write_bytes(os.urandom(4 * MIB))
        rest()


class Burner(Hostile):
    """Computes for ever."""

    name = "burner"
    limits = ToolLimits(wall_seconds=20, cpu_seconds=1, outputs_max=0, inputs_min=0)

    def act(self, input_data: ToolInput) -> None:
        """Loop."""
        while True:
            pass


class DeafBurner(Burner):
    """Computes for ever and ignores what it is told."""

    name = "deaf-burner"

    def act(self, input_data: ToolInput) -> None:
        """Loop, deaf."""
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        super().act(input_data)


EndKind = Literal["abort", "segfault", "exit", "system-exit", "killed", "babble", "flood", "raise"]


class EndOptions(ToolOptions):
    """How to end."""

    how: EndKind = "abort"


class Ender(BaseTool[EndOptions]):
    """Ends in every way but the right one."""

    name = "ender"
    description = "For tests."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = []
    limits = ToolLimits(wall_seconds=20, outputs_max=0, inputs_min=0)
    Options = EndOptions

    async def process(self, input_data: ToolInput, options: EndOptions) -> list[OutputFile]:
        """End."""
        match options.how:
            case "abort":
                os.abort()
            case "segfault":
                ctypes.string_at(0)
            case "exit":
                os._exit(3)
            case "system-exit":
                sys.exit("goodbye")
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "babble":
                os.write(CHANNEL, b"\0\0\0\5hello")
                rest()
            case "flood":
                os.write(CHANNEL, b"\xff" * 4096)
                rest()
            case "raise":
                raise KeyError("the tool's own mistake")
        return []


class Forger(Hostile):
    """Hands out what is not its own."""

    name = "forger"

    class Options(ToolOptions):
        """What to hand out."""

        what: str = "outside"
        target: str = "/etc/hostname"

    async def process(self, input_data: ToolInput, options: ToolOptions) -> list[OutputFile]:
        """Claim it."""
        assert isinstance(options, Forger.Options)
        folder, target = input_data.folder, Path(options.target)
        good = text_file(folder)
        match options.what:
            case "outside":
                return [OutputFile("out.txt", target, "text/plain")]
            case "dots":
                return [OutputFile("out.txt", folder / ".." / target.name, "text/plain")]
            case "symlink":
                (folder / "link").symlink_to(target)
                return [OutputFile("out.txt", folder / "link", "text/plain")]
            case "folder-symlink":
                (folder / "link").symlink_to(target.parent)
                return [OutputFile("out.txt", folder / "link" / target.name, "text/plain")]
            case "hard-link":
                (folder / "link").hardlink_to(target)
                return [OutputFile("out.txt", folder / "link", "text/plain")]
            case "pipe":
                os.mkfifo(folder / "pipe")
                return [OutputFile("out.txt", folder / "pipe", "text/plain")]
            case "missing":
                return [OutputFile("out.txt", folder / "missing", "text/plain")]
            case "empty":
                return [text_file(folder, "", "empty.txt")]
            case "type":
                return [OutputFile("out.png", good.path, "image/png")]
            case "content":
                good.path.write_bytes(b"\0\1\2")
                return [good]
            case "name":
                return [OutputFile("../../out.txt", good.path, "text/plain")]
            case "twice":
                return [good, good]
            case "many":
                return [text_file(folder, name=f"{n}.txt") for n in range(4)]
            case _:
                return [good]


class Snoop(Hostile):
    """Looks at what it can see."""

    name = "snoop"

    async def process(self, input_data: ToolInput, options: ToolOptions) -> list[OutputFile]:
        """Tell all."""
        path = input_data.folder / "seen.json"
        path.write_text(json.dumps(seen()))
        return [OutputFile("seen.json", path, "application/json")]


def seen() -> dict[str, object]:
    """What a process can tell of itself."""
    return {
        "environment": dict(os.environ),
        "initial": Path("/proc/self/environ").read_bytes().decode(),
        "descriptors": [
            str(Path(f"/proc/self/fd/{n}").readlink()) for n in range(64) if is_open(n)
        ],
        "folder": str(Path.cwd()),
        "umask": os.umask(0o077),
        "session": os.getsid(0) == os.getpid(),
        "modules": sorted(sys.modules),
    }


def is_open(descriptor: int) -> bool:
    """Whether this process has it."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


class Refuser(Hostile):
    """Refuses every input."""

    name = "refuser"

    async def validate(self, input_data: ToolInput, options: ToolOptions) -> bool:
        """Refuse."""
        return False


class Complainer(Hostile):
    """Fails as a tool should."""

    name = "complainer"

    def act(self, input_data: ToolInput) -> None:
        """Complain."""
        raise ToolProcessingError("NO_GOOD", "It is no good.", field="what", permanent=False)


class Threaded(Hostile):
    """Needs a library that starts a thread when it is imported."""

    name = "threaded"
    modules = ("tests.integration.processors.sandbox.threaded_library",)

    async def process(self, input_data: ToolInput, options: ToolOptions) -> list[OutputFile]:
        """Use it."""
        from tests.integration.processors.sandbox import threaded_library

        return [text_file(input_data.folder, threaded_library.answer())]


class Writer(Hostile):
    """Writes in every way there is, and is killed."""

    name = "writer"

    def act(self, input_data: ToolInput) -> None:
        """Print, log, write from another process, and end at once."""
        print("printed")  # noqa: T201 - a tool may
        input_data.log("a line for the log")
        logging.getLogger("tool").warning("logged: %d", 7)
        logging.getLogger("tool").debug("not worth keeping")
        child = os.fork()
        if child == 0:
            os.write(2, b"written by another process\n")
            os._exit(0)
        os.waitpid(child, 0)
        os.kill(os.getpid(), signal.SIGKILL)


class Flooder(Hostile):
    """Writes far more than is kept."""

    name = "flooder"

    def act(self, input_data: ToolInput) -> None:
        """Write two megabytes between two lines."""
        input_data.log("the beginning")
        for _ in range(2_000):
            os.write(1, b"x" * 1_023 + b"\n")
        print("the end")  # noqa: T201 - a tool may
        raise ToolProcessingError("NO_GOOD")


HOSTILE = (
    *(Sleeper, Looper, Runaway, Multiplier, Hog, Herd, BigFile, Filler, Burner, DeafBurner),
    *(Ender, Forger, Snoop, Refuser, Complainer, Writer, Flooder, NoOp),
)


def registry() -> Registry:
    """All of them."""
    return Registry(HOSTILE)


def registry_with_threads() -> Registry:
    """One whose library is not fit to be forked."""
    return Registry((Threaded,))
