"""Tells others that a batch is committed: queries that wait, live status, operators, logs.

All of it comes after the commit and none of it can fail the batch.
"""

import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from events.contracts.subjects import PROJECTION_APPLIED
from infrastructure import metrics
from infrastructure.clock import SystemClock
from projectors.batches import Applied
from projectors.group import Group
from projectors.live_feed import Change, LiveFeed

EVENTS_LOGGED_MAX: Final = 50
"""A batch of more events is logged event by event only at DEBUG."""

log = structlog.get_logger(__name__)

Ring = Callable[[str, bytes], None]
"""Best-effort publish on a core subject; see `infrastructure.broker.Broker.ring`."""


class Announcer:
    """Speaks for one group."""

    def __init__(self, group: Group, ring: Ring, feed: LiveFeed) -> None:
        self._group = group
        self._ring = ring
        self._feed = feed

    def applied(self, after: int, applied: Applied, seconds: float) -> None:
        """A batch that began after a position is committed."""
        position = applied.standing.position
        for name in self._group.names:
            body = json.dumps({"projection": name, "position": position})
            self._ring(PROJECTION_APPLIED, body.encode())
        self._feed.offer(Change(after, position, applied.jobs))
        self._measure(after, applied, seconds)
        self._log(applied)

    def stands(self, position: int, head: int, recorded_at: datetime | None) -> None:
        """How far the group is behind the log; `recorded_at` is that of its last event."""
        metrics.PROJECTION_POSITION.labels(self._group.name).set(position)
        metrics.PROJECTION_LAG_EVENTS.labels(self._group.name).set(head - position)
        late = 0.0
        if head > position and recorded_at is not None:
            late = max(0.0, (SystemClock().now() - recorded_at).total_seconds())
        metrics.PROJECTION_LAG_SECONDS.labels(self._group.name).set(late)

    def _measure(self, after: int, applied: Applied, seconds: float) -> None:
        name = self._group.name
        events = applied.standing.position - after
        metrics.PROJECTION_POSITION.labels(name).set(applied.standing.position)
        metrics.PROJECTION_EVENTS.labels(name).inc(events)
        metrics.PROJECTION_BATCH_EVENTS.labels(name).observe(events)
        metrics.PROJECTION_BATCH_SECONDS.labels(name).observe(seconds)

    def _log(self, applied: Applied) -> None:
        is_large = len(applied.events) > EVENTS_LOGGED_MAX
        if is_large and not log.is_enabled_for(logging.DEBUG):
            return
        write = log.debug if is_large else log.info
        for row, fact in applied.events:
            write(
                "event_projected",
                request_id=fact.correlation_id,
                aggregate_id=str(row.originator_id),
                topic=row.topic,
                version=row.originator_version,
                position=row.position,
            )
