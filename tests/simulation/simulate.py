"""Runs worlds by their seeds: `python -m tests.simulation.simulate FIRST [COUNT]`."""

import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path

import structlog

from tests.simulation import truths
from tests.simulation.virtual_time import virtual_time
from tests.simulation.world import World


def simulate(seed: int) -> World:
    """Let one world come and go; raises AssertionError if something is not true at its end."""
    folders = tempfile.TemporaryDirectory(prefix="world-", dir=_memory())
    with folders as folder, virtual_time(seed) as loop:
        asyncio.set_event_loop(loop)
        try:
            world = World(seed, loop, Path(folder))
            loop.run_until_complete(_life(world))
        finally:
            asyncio.set_event_loop(None)
    return world


async def _life(world: World) -> None:
    try:
        await world.run()
    finally:
        await world.end()
    await truths.check(world)


def quiet() -> None:
    """What services log in a storm is of no interest, and half of its cost."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


def main() -> None:
    """Say which seeds fail, and how many worlds a minute there were."""
    first, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    if count > 1:
        quiet()
    began, failed = time.perf_counter(), []
    for seed in range(first, first + count):
        try:
            simulate(seed)
        except Exception as error:
            failed.append(seed)
            say(f"seed {seed}: {type(error).__name__}: {error}")
            if count == 1:
                raise
    rate = 60 * count / (time.perf_counter() - began)
    say(f"{count} worlds, {len(failed)} failed {failed}, {rate:.0f} a minute")
    sys.exit(bool(failed))


def say(text: str) -> None:
    """Tell whoever looks."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
