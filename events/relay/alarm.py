"""The alarm of a relay that has stopped because going on would make things worse."""

import time
from typing import Final

import structlog

from events.relay.agreement import Disagreement
from events.relay.streams import StreamUnusable
from infrastructure import metrics

REMIND_SECONDS: Final = 60.0
REASONS: Final = (Disagreement, StreamUnusable)
"""What only an operator can mend, with `magictoolbox relay reconcile`."""

log = structlog.get_logger(__name__)


class Alarm:
    """On from the first such error until stream and log are found to agree again."""

    def __init__(self) -> None:
        self.code: str | None = None
        """What is wrong; None while nothing is."""
        self._reminded_at = 0.0

    def consider(self, error: BaseException) -> None:
        """Sound it if the error is a reason."""
        if not isinstance(error, REASONS):
            return
        is_new, self.code = self.code != error.code, error.code
        metrics.RELAY_HALTED.set(1)
        if is_new or time.monotonic() - self._reminded_at > REMIND_SECONDS:
            self._reminded_at = time.monotonic()
            log.critical("relay_halted", code=error.code, reason=str(error))

    def clear(self) -> None:
        """All is well."""
        metrics.RELAY_HALTED.set(0)
        if self.code is not None:
            log.warning("relay_resumed", code=self.code)
            self.code = None
