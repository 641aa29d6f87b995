"""Wakes a service's loop no later than a moment: one timer, however often it is asked."""

import asyncio


class Wake:
    """Sets an event in time; see `ServiceLoop`'s `wake`."""

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> None:
        """Ask for a run at once."""
        self._event.set()

    def within(self, seconds: float) -> None:
        """Ask for a run in so many seconds, unless an earlier one is asked for."""
        loop = asyncio.get_running_loop()
        if self._timer is not None and self._timer.when() <= loop.time() + seconds:
            return
        self.cancel()
        self._timer = loop.call_later(max(seconds, 0.0), self._ring)

    def cancel(self) -> None:
        """Ask for nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._event.set()
