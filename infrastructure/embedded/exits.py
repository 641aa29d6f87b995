"""Waits for the end of a child without a thread and, where the kernel can tell, without polling."""

import asyncio
import os
import subprocess
from contextlib import suppress

POLL_SECONDS = 0.1


async def exited(process: subprocess.Popen[bytes]) -> int:
    """The exit code, once there is one."""
    while (code := process.poll()) is None:
        await _something_happens(process.pid)
    return code


async def exited_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process ended in that time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await exited(process)
    return process.poll() is not None


async def _something_happens(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except (OSError, AttributeError):
        # An old kernel, or not Linux at all.
        await asyncio.sleep(POLL_SECONDS)
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
