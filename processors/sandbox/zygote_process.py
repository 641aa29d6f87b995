"""The worker's end of a zygote: starts it, asks it for children, hears when they have ended."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import structlog

from processors.sandbox.run import Isolation

log = structlog.get_logger(__name__)

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 5.0
REQUEST_STEP_SECONDS = 0.002
REQUEST_TRIES_MAX = 2_500
BURIAL_SECONDS_MAX = 1.0
BURIAL_STEP_SECONDS = 0.01
REPORT_BYTES_MAX = 65_536
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    # Threads share the job's cores, and each arena of malloc would reserve address space.
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    # A run begins without memory of its own; a large picture is 500 times fewer faults in pages of
    # 2 MB than of 4 kB. Where the C library or the kernel knows no such thing, nothing changes.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


class ZygoteDied(Exception):
    """The process that tools are forked from has ended."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended, with all that it had started."""

    status: int
    """Its exit code, or the negative number of the signal that ended it."""
    cpu_seconds: float
    peak_rss_bytes: int


@dataclass(slots=True, eq=False)
class Child:
    """One run's process; `exited` is done when nothing of the run is alive any more."""

    number: int
    exited: asyncio.Future[Exit]
    pid: int | None = None


@dataclass(slots=True, eq=False)
class ZygoteProcess:
    """A running zygote."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    group: str
    isolation: Isolation = field(default=Isolation("L0", (), ()))
    children: dict[int, Child] = field(default_factory=dict)
    _count: int = 0
    _burial: asyncio.Task[None] | None = None
    _ready: asyncio.Future[None] = field(init=False)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        self.control.setblocking(False)
        loop.add_reader(self.control.fileno(), self._receive)

    @classmethod
    async def start(
        cls, registry: str, group: str, environment: Mapping[str, str], without: Sequence[str]
    ) -> Self:
        """Start the one of a group of tools and wait until it can fork; raises ZygoteDied."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = _spawned(theirs.fileno(), registry, group, environment, without)
        zygote = cls(process, ours, group)
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                await asyncio.shield(zygote._ready)
        except BaseException as error:
            await zygote.stop()
            if isinstance(error, TimeoutError):
                raise ZygoteDied("not ready in time") from None
            raise
        return zygote

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked for children."""
        return self._burial is None

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    async def fork(self, channel: socket.socket, output: int) -> Child:
        """Ask for a child that holds the other end of a channel and writes to `output`.

        Raises ZygoteDied.
        """
        self._count += 1
        child = Child(self._count, asyncio.get_running_loop().create_future())
        self.children[child.number] = child
        try:
            await self._ask({"fork": child.number}, [channel.fileno(), output])
        except BaseException:
            # The worker closes its own end: a child that comes nevertheless reads no order.
            self.children.pop(child.number, None)
            raise
        return child

    async def signal(self, child: Child, number: signal.Signals) -> None:
        """Send a signal to all processes of a run."""
        await self._ask({"run": child.number, "signal": int(number)}, [])

    async def _ask(self, request: dict[str, int], descriptors: list[int]) -> None:
        body = json.dumps(request).encode()
        async with self._asking:
            for _ in range(REQUEST_TRIES_MAX):
                if self._is_sent(body, descriptors):
                    return
                await asyncio.sleep(REQUEST_STEP_SECONDS)
        # A zygote that does not even take requests any more is of no use to anybody.
        self.kill()
        raise ZygoteDied("takes no requests")

    def _is_sent(self, body: bytes, descriptors: list[int]) -> bool:
        if not self.is_alive:
            raise ZygoteDied
        try:
            socket.send_fds(self.control, [body], descriptors)
        except BlockingIOError:
            return False
        except OSError as error:
            self.kill()
            raise ZygoteDied(str(error)) from error
        return True

    def kill(self) -> None:
        """End it at once; its children end with it."""
        self.process.kill()
        self._bury()

    async def stop(self) -> None:
        """End it and all its children, and wait for that."""
        self.process.terminate()
        await asyncio.to_thread(self._wait)
        self._bury()
        if self._burial is not None:
            await self._burial

    def _wait(self) -> None:
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _receive(self) -> None:
        try:
            body = self.control.recv(REPORT_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            body = b""
        if not body:
            self.kill()
            return
        self._heard(json.loads(body))

    def _heard(self, report: dict[str, Any]) -> None:
        if "ready" in report:
            level, layers, missing = report["ready"]
            self.isolation = Isolation(level, tuple(layers), tuple(missing))
            self._ready.set_result(None)
            log.info(
                "zygote_started", group=self.group, pid=self.pid, isolation=level, missing=missing
            )
        elif child := self.children.get(report["run"]):
            self._heard_of(child, report)

    def _heard_of(self, child: Child, report: dict[str, Any]) -> None:
        if "pid" in report:
            child.pid = report["pid"]
            return
        del self.children[child.number]
        if "refused" in report:
            _fail(child.exited, ZygoteDied(f"no fork: {report['refused']}"))
        elif not child.exited.done():
            ending = Exit(report["status"], report["cpu_seconds"], report["peak_rss_bytes"])
            child.exited.set_result(ending)

    def _bury(self) -> None:
        if self._burial is None:
            asyncio.get_running_loop().remove_reader(self.control.fileno())
            self.control.close()
            self._burial = asyncio.create_task(self._buried(), name="zygote-burial")

    async def _buried(self) -> None:
        """See to it that no run outlives its zygote; the kernel sees only to direct children."""
        await asyncio.to_thread(self._wait)
        log.info("zygote_ended", group=self.group, pid=self.pid, runs=len(self.children))
        pids = [child.pid for child in self.children.values() if child.pid is not None]
        deadline = asyncio.get_running_loop().time() + BURIAL_SECONDS_MAX
        while pids := [pid for pid in pids if _is_killed_group_alive(pid)]:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(BURIAL_STEP_SECONDS)
        for child in self.children.values():
            _fail(child.exited, ZygoteDied())
        self.children.clear()
        _fail(self._ready, ZygoteDied(f"ended with {self.process.returncode}"))


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        # Whoever still waits is told; nobody may be waiting any more.
        future.exception()


def _is_killed_group_alive(pid: int) -> bool:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _spawned(
    descriptor: int,
    registry: str,
    group: str,
    environment: Mapping[str, str],
    without: Sequence[str],
) -> subprocess.Popen[bytes]:
    paths = [path for path in sys.path if path.startswith("/")]
    libraries = {k: os.environ[k] for k in ("LD_LIBRARY_PATH",) if k in os.environ}
    return subprocess.Popen(  # noqa: S603 (nothing in it comes from outside)
        [
            *(sys.executable, "-P", "-m", "processors.sandbox.zygote"),
            *("--control", str(descriptor)),
            *("--parent", str(os.getpid())),
            *("--registry", registry),
            *("--group", group),
            *(f"--without={name}" for name in without),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[descriptor],
        cwd="/",
        env={**ENVIRONMENT, **libraries, "PYTHONPATH": ":".join(paths), **environment},
        # A Ctrl-C is for the worker, which ends its runs in its own way.
        start_new_session=True,
    )
