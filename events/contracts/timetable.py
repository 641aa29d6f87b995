"""When a cron line fires in a time zone: pure arithmetic, the same for whoever asks.

A line has five fields and means what Debian's cron takes it for. Where clocks are put forward, a
line with a fixed hour and minute whose time is left out fires right after the gap, once; where they
are put back it fires once, the first time. A line whose hour or minute begins with `*` follows the
time that passes: it fires in both of two equal hours, and never twice at one moment.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

FIELDS: Final = 5
CRON_CHARACTERS_MAX: Final = 100
ZONE_CHARACTERS_MAX: Final = 64
LOOKED_BACK: Final = tuple(timedelta(hours=hours) for hours in (3, 49, 32 * 24, 367 * 24))
"""How far back the latest ticks are looked for before the whole stretch is gone through."""


class BadCron(ValueError):
    """This is not a cron line of five fields, or it never fires."""


class UnknownZone(ValueError):
    """There is no such time zone; use a name such as Europe/Vienna."""


class Timetable:
    """The ticks of one cron line in one zone, as moments in UTC."""

    __slots__ = ("_cron", "_zone")

    def __init__(self, cron: str, zone: str) -> None:
        """Raises BadCron, UnknownZone."""
        self._zone = _zone(zone)
        self._cron = cron
        if len(cron) > CRON_CHARACTERS_MAX or len(cron.split()) != FIELDS:
            raise BadCron("A cron line has five fields: minute, hour, day, month, day of week.")
        try:
            CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
        except (CronSimError, ValueError, AssertionError) as error:
            raise BadCron(f"{str(error) or 'Bad line'}: no such time ever comes.") from None

    def ticks_after(self, moment: datetime) -> Iterator[datetime]:
        """All ticks after the moment, in order."""
        latest = moment
        try:
            for tick in CronSim(self._cron, moment.astimezone(self._zone)):
                at = tick.astimezone(UTC)
                # Beside a change of clocks the library may come back to where it was.
                if at > latest:
                    latest = at
                    yield at
        except OverflowError:
            return

    def next_after(self, moment: datetime) -> datetime | None:
        """The first tick after the moment; None if there is none."""
        return next(self.ticks_after(moment), None)

    def latest(self, after: datetime, until: datetime, most: int) -> list[datetime]:
        """The latest ticks after one moment up to and including another, in order."""
        for back in LOOKED_BACK:
            start = until - back
            if start <= after:
                break
            if len(found := self._between(start, until, most)) == most:
                return found
        return self._between(after, until, most)

    def count(self, after: datetime, until: datetime, most: int) -> int:
        """How many ticks lie between, counted up to a limit."""
        return sum(1 for _ in islice(self._stretch(after, until), most))

    def _between(self, after: datetime, until: datetime, most: int) -> list[datetime]:
        return list(deque(self._stretch(after, until), most))

    def _stretch(self, after: datetime, until: datetime) -> Iterator[datetime]:
        for tick in self.ticks_after(after):
            if tick > until:
                return
            yield tick


def _zone(name: str) -> ZoneInfo:
    # Ours, not the library's message: that one holds a path.
    if not name or len(name) > ZONE_CHARACTERS_MAX:
        raise UnknownZone(UnknownZone.__doc__)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownZone(UnknownZone.__doc__) from None
