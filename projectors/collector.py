"""Tells Python's garbage collector what kind of process this is."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

OBJECTS_BETWEEN_LOOKS: Final = (20_000, 20, 50)


def look_seldom() -> None:
    """Let the collector look seldom, and never at what is there now.

    A batch is thousands of objects that all go when it is done, without any cycle among them. With
    the usual thresholds the collector goes through them again and again: a third of folding.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*OBJECTS_BETWEEN_LOOKS)


@contextmanager
def at_rest() -> Iterator[None]:
    """Keep the collector from looking at all, for work that makes no cycles and is bounded."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
