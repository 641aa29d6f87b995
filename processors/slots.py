"""Decides how many offers a worker asks for, and which of those it got it can take.

Whether a job needs a sandbox is known only after it was loaded. So a worker asks for as many as it
has free sandboxes, and for more only while what it gets are trusted jobs, which run beside them:
the more of them come in a row, the more it asks for. The first job for which there is no sandbox
ends that, and goes back to READY for another worker.
"""

from enum import Enum, auto


class Place(Enum):
    """Where a job runs."""

    SANDBOX = auto()
    INLINE = auto()


class Slots:
    """The places of one worker."""

    def __init__(self, sandboxed_max: int, inline_max: int) -> None:
        self._sandboxed_max = sandboxed_max
        self._inline_max = inline_max
        self._sandboxed = 0
        self._inline = 0
        self._undecided = 0
        self._appetite = 0

    @property
    def size(self) -> int:
        """How many jobs could run at once."""
        return self._sandboxed_max + self._inline_max

    @property
    def busy(self) -> int:
        """How many jobs run."""
        return self._sandboxed + self._inline

    @property
    def sandboxes(self) -> tuple[int, int]:
        """How many jobs run in sandboxes, and how many could."""
        return self._sandboxed, self._sandboxed_max

    @property
    def beside(self) -> tuple[int, int]:
        """How many trusted jobs run beside them, and how many could."""
        return self._inline, self._inline_max

    @property
    def free(self) -> int:
        """How many more offers there is room for."""
        sandboxes = self._sandboxed_max - self._sandboxed
        beside = max(self._appetite - self._inline, 0)
        return max(min(sandboxes + beside, self.size - self.busy) - self._undecided, 0)

    def arrive(self) -> None:
        """An offer came in; what it needs is not known yet."""
        self._undecided += 1

    def leave(self) -> None:
        """An offer turned out to be no work for us."""
        self._undecided -= 1

    def take(self, inline: bool) -> Place | None:
        """Give an offer that came in its place; None if there is none for it."""
        self._undecided -= 1
        if inline:
            self._appetite = min(max(2 * self._appetite, 1), self._inline_max)
            if self._inline >= self._inline_max:
                return None
            self._inline += 1
            return Place.INLINE
        if self._sandboxed >= self._sandboxed_max:
            self._appetite = 0
            return None
        self._sandboxed += 1
        return Place.SANDBOX

    def give_up(self, place: Place) -> None:
        """A job has ended."""
        if place is Place.INLINE:
            self._inline -= 1
        else:
            self._sandboxed -= 1
