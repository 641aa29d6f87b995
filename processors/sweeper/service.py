"""Deletes blobs that nobody needs, a slice of the store at a time, so that none stays for ever.

A blob is deleted only when two looks, `CONFIRM_SECONDS` apart, have both found that nobody needs
it, and nothing went wrong in between. So whoever was cut off from the log longer than the grace (a
machine that stood still, a database that was away for days) has time to append what it holds as
soon as the sweeper may delete again. What is under suspicion is forgotten with the lead, and after
every failure.
"""

from typing import Final

import structlog

from infrastructure import metrics
from infrastructure.blobs.base import BlobEntry, BlobKey
from infrastructure.clock import Clock, SystemClock
from infrastructure.periodic import Counts
from processors.dispatcher import Lead
from processors.settings import SweeperSettings
from processors.sweeper.inspection import SLICE_BLOBS_MAX, Inspection, Swept

CONFIRM_SECONDS: Final = 120.0
"""Longer than anybody who is in touch with the log takes to append."""
STANDBY_SECONDS: Final = 30.0
"""Between two tries to lead."""
DELETED_AT_ONCE_MAX: Final = 1_000
SUSPECTS_MAX: Final = 2 * SLICE_BLOBS_MAX

log = structlog.get_logger(__name__)


class SweeperService:
    """See above; a service as `ServiceLoop` runs it."""

    name = "sweeper"

    def __init__(
        self,
        lead: Lead,
        inspection: Inspection,
        settings: SweeperSettings,
        *,
        confirm_seconds: float = CONFIRM_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self._confirm_seconds = confirm_seconds
        self._lead = lead
        self._inspection = inspection
        self._settings = settings
        self._clock = clock or SystemClock()
        self._suspects: dict[BlobKey, tuple[float, BlobEntry]] = {}
        self._is_passing = False
        self._next_pass_at = 0.0

    async def start(self) -> None:
        """Nothing is opened before the first run."""

    async def run_once(self) -> Counts:
        """Delete what was confirmed, and look at the next blobs."""
        if not self._settings.blob_sweep or self._is_resting:
            return Counts()
        try:
            if not await self._lead.hold():
                self._forget()
                self._next_pass_at = self._clock.monotonic() + STANDBY_SECONDS
                return Counts()
            return await self._run()
        except BaseException:
            self._forget()
            raise

    async def stop(self) -> None:
        """Let somebody else lead."""
        await self._inspection.close()
        await self._lead.release()

    @property
    def _is_resting(self) -> bool:
        is_busy = self._is_passing or self._suspects
        return not is_busy and self._clock.monotonic() < self._next_pass_at

    def _forget(self) -> None:
        self._suspects.clear()
        self._is_passing = False

    async def _run(self) -> Counts:
        if not self._is_passing and self._clock.monotonic() >= self._next_pass_at:
            await self._inspection.begin()
            self._is_passing = True
        swept = await self._confirm()
        if swept is None:
            return Counts(more=True, folded=1)
        if not self._is_passing or len(self._suspects) + SLICE_BLOBS_MAX > SUSPECTS_MAX:
            return Counts(deleted=swept.blobs)
        return await self._look(swept)

    async def _look(self, swept: Swept) -> Counts:
        asked_at = self._clock.monotonic()
        found = await self._inspection.look()
        if found is None:
            return Counts(more=True, folded=1, deleted=swept.blobs)
        for entry in found.unreferenced:
            self._suspects.setdefault(entry.key, (asked_at, entry))
        if found.is_last:
            await self._end_pass()
        else:
            await self._inspection.keep_place()
        return Counts(looked_at=found.looked_at, deleted=swept.blobs)

    async def _end_pass(self) -> None:
        await self._inspection.keep_place()
        parts = await self._inspection.discard_unfinished()
        if parts:
            log.info("unfinished_blobs_discarded", parts=parts)
        self._is_passing = False
        self._next_pass_at = self._clock.monotonic() + self._settings.blob_sweep_seconds
        metrics.BLOB_SWEEP_TIMESTAMP_SECONDS.set_to_current_time()

    async def _confirm(self) -> Swept | None:
        """Delete what has been under suspicion for long enough; None: ask again."""
        since = self._clock.monotonic() - self._confirm_seconds
        due = [entry for at, entry in self._suspects.values() if at <= since]
        due = due[:DELETED_AT_ONCE_MAX]
        if not due:
            return Swept()
        swept = await self._inspection.delete(due)
        if swept is not None:
            for entry in due:
                del self._suspects[entry.key]
        return swept
