"""The process that a group's runs are forked from: libraries loaded, one thread, nobody's data.

A fork of it starts in milliseconds, and is safe only because no second thread exists. It forks when
it is told to, forwards signals, and reports the end of a run when nothing of that run is alive any
more: not the child, not its process group, not what escaped from that. It ends with the worker.
"""

import argparse
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from processors.sandbox import child, prctl
from processors.sandbox.layers import fork_for, probed, rights_for
from processors.sandbox.namespaces import status_of
from processors.sandbox.prelude import Confines, outermost
from processors.sandbox.proc import own_children, session_of, thread_count
from processors.tools.registry import Registry

REQUEST_BYTES_MAX = 4_096
DESCRIPTORS_MAX = 2
"""The way to the worker, and where the run writes to."""
ENDING_SECONDS_MAX = 2.0
POLL_SECONDS = 0.02
SPARES = 2
"""Children that wait for a run; more runs at once than that wait for a fork each."""
SPARE_PAUSE_SECONDS = 0.5
SPARE_DELAY_SECONDS = 0.01
"""A short run ends within it, and is not kept waiting for its report by a fork."""
WARM_UP_ROUNDS = 20
EXIT_NO_PARENT = 3


class Zygote:
    """Forks children and watches over their ends."""

    def __init__(
        self, control: socket.socket, registry: Registry, without: Sequence[str] = ()
    ) -> None:
        self._control = control
        libraries = library_folders(registry)
        confines = Confines(os.getpid(), libraries, rights=rights_for(libraries))
        layers, self._isolation = probed(confines, without)
        for layer in layers:
            layer.prepare(confines)
        self._fork_child = fork_for(layers)
        self._upbringing = child.Upbringing(registry, layers, confines)
        self._spares: dict[int, socket.socket] = {}
        self._next_spare = 0.0
        self._calm_until = 0.0
        self._runs: dict[int, int] = {}
        self._ending: dict[int, tuple[float, dict[str, Any]]] = {}
        self._stopped = False
        self._wake_reading, self._wake_writing = socket.socketpair()

    def serve(self) -> None:
        """Serve until the worker is gone or says so."""
        self._catch_signals()
        self._tell_isolation()
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake_reading, select.POLLIN)
        while not self._stopped:
            ready = dict(poll.poll(self._patience()))
            if self._control.fileno() in ready:
                self._take_request()
            if self._wake_reading.fileno() in ready:
                self._wake_reading.recv(REQUEST_BYTES_MAX)
            self._reap()
            # Last, and only when nothing else is to do: a fork takes longer than a short run.
            if not ready and self._patience() == 0:
                self._try_to_raise_spare()
        self._end_all()

    def _patience(self) -> float | None:
        """How long to wait for something to do, in milliseconds."""
        if len(self._spares) < SPARES:
            wanted_at = max(self._next_spare, self._calm_until)
            return max(0.0, wanted_at - time.monotonic()) * 1000
        return POLL_SECONDS * 1000 if self._ending else None

    def _tell_isolation(self) -> None:
        missing = self._isolation.missing
        if thread_count() > 1:
            missing += ("one thread: a plug-in starts others as soon as it is loaded",)
        self._tell(ready=[self._isolation.level, self._isolation.layers, missing])

    def _catch_signals(self) -> None:
        self._wake_writing.setblocking(False)
        signal.set_wakeup_fd(self._wake_writing.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _stop(self, *_: object) -> None:
        self._stopped = True

    def _take_request(self) -> None:
        body, descriptors, _, _ = socket.recv_fds(self._control, REQUEST_BYTES_MAX, DESCRIPTORS_MAX)
        if not body:
            self._stopped = True
            return
        request = json.loads(body)
        if "fork" in request:
            self._fork(request["fork"], descriptors)
        else:
            self._signal(request["run"], request["signal"])

    def _fork(self, run: int, descriptors: Sequence[int]) -> None:
        try:
            pid = self._given_to_a_spare(descriptors)
        except OSError as error:
            self._tell(run=run, refused=str(error))
        else:
            self._runs[pid] = run
            self._tell(run=run, pid=pid)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _given_to_a_spare(self, descriptors: Sequence[int]) -> int:
        for _ in range(SPARES + 1):
            if not self._spares:
                self._raise_spare()
            pid, channel = self._spares.popitem()
            with channel, contextlib.suppress(BrokenPipeError):
                socket.send_fds(channel, [b"!"], descriptors)
                self._calm_until = time.monotonic() + SPARE_DELAY_SECONDS if self._spares else 0.0
                return pid
        raise ChildProcessError("children end before they have a run")

    def _try_to_raise_spare(self) -> None:
        try:
            self._raise_spare()
        except OSError:
            # No memory or no process number for now; a run that comes will say so.
            self._next_spare = time.monotonic() + SPARE_PAUSE_SECONDS

    def _raise_spare(self) -> None:
        """Fork a child that gets ready and waits, so that the next run need not wait for it."""
        ours, theirs = socket.socketpair()
        with theirs:
            pid = self._fork_child()
            if pid == 0:
                child.live(theirs.fileno(), self._upbringing)
        self._spares[pid] = ours

    def _signal(self, run: int, number: int) -> None:
        # The child is not reaped yet, so its number cannot belong to anybody else.
        for pid, its_run in self._runs.items():
            if its_run == run:
                _signal_group(pid, number)

    def _reap(self) -> None:
        while pid := _ended_child():
            if pid in self._runs:
                # Before the reaping, while the group's number is surely still this run's.
                _signal_group(pid, signal.SIGKILL)
            _, status, used = os.wait4(pid, 0)
            if spare := self._spares.pop(pid, None):
                spare.close()
                self._next_spare = time.monotonic() + SPARE_PAUSE_SECONDS
            if pid in self._runs:
                self._ending[pid] = (
                    time.monotonic() + ENDING_SECONDS_MAX,
                    {
                        "run": self._runs.pop(pid),
                        "status": status_of(os.waitstatus_to_exitcode(status)),
                        "cpu_seconds": used.ru_utime + used.ru_stime,
                        "peak_rss_bytes": used.ru_maxrss * 1024,
                    },
                )
        if self._ending:
            self._report_ended()

    def _report_ended(self) -> None:
        alive = self._kill_strays()
        for pid, (deadline, report) in list(self._ending.items()):
            if not alive or time.monotonic() > deadline:
                del self._ending[pid]
                self._calm_until = 0.0
                self._tell(**report)

    def _kill_strays(self) -> bool:
        """End what runs left behind; True while there is some.

        A process that left its run's session comes to this one when its own parent ends.
        """
        own = {*self._runs, *self._spares}
        strays = [pid for pid in own_children() if pid not in own and session_of(pid) not in own]
        for pid in strays:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(strays)

    def _end_all(self) -> None:
        deadline = time.monotonic() + ENDING_SECONDS_MAX
        while (self._runs or self._spares or self._kill_strays()) and time.monotonic() < deadline:
            for pid in (*self._runs, *self._spares):
                _signal_group(pid, signal.SIGKILL)
            self._reap()
            time.sleep(POLL_SECONDS)

    def _tell(self, **report: Any) -> None:
        with contextlib.suppress(OSError):
            self._control.send(json.dumps(report).encode())


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        # It was forked a moment ago and does not lead a group yet.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _ended_child() -> int | None:
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return ended.si_pid if ended else None


def library_folders(registry: Registry) -> tuple[Path, ...]:
    """The folders whose code a tool may need while it runs."""
    paths = {Path(path) for path in sysconfig.get_paths().values()}
    packages = {"processors", *(type(tool).__module__ for tool in registry.available())}
    for package in packages:
        paths |= {Path(folder) for folder in _package_folders(package)}
    return outermost(path for path in paths if path.is_dir())


def _package_folders(module: str) -> Sequence[str]:
    top = sys.modules.get(module.partition(".")[0])
    return list(getattr(top, "__path__", ()))


def registry_from(source: str) -> Registry:
    """Call the function that `module:function` names."""
    module, _, function = source.partition(":")
    return cast(Callable[[], Registry], getattr(importlib.import_module(module), function))()


def preload(registry: Registry, group: str, late: Sequence[str]) -> str | None:
    """Import what a group's tools need; returns the module that started a thread, if one did."""
    tools = [tool for tool in registry.available() if tool.group == group]
    names = [name for tool in tools for name in tool.modules]
    for name in dict.fromkeys(names):
        if name not in late:
            # The tool will say what is wrong, when it runs.
            with contextlib.suppress(Exception):
                importlib.import_module(name)
            if thread_count() > 1:
                return name
    return None


def main() -> None:
    """Start from the command line that the worker gives."""
    parser = argparse.ArgumentParser(description="Forks the processes that tools run in.")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--late", action="append", default=[])
    options = parser.parse_args()
    if os.getppid() != options.parent:
        sys.exit(EXIT_NO_PARENT)
    prctl.die_with_parent(options.parent, signal.SIGTERM)
    prctl.adopt_orphans()
    registry = registry_from(options.registry)
    if threaded := preload(registry, options.group, options.late):
        # A fork must not have threads, and a started thread cannot be taken back: begin again
        # without that module; whoever needs it imports it in its own child.
        arguments = [*sys.orig_argv, "--late", threaded]
        os.execv(sys.executable, arguments)  # noqa: S606 (this very program)
    child.prepare_streams()
    child.warm_up(registry, WARM_UP_ROUNDS)
    gc.collect()
    gc.freeze()
    Zygote(socket.socket(fileno=options.control), registry, options.without).serve()


if __name__ == "__main__":
    main()
