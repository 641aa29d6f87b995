"""Two bridges to the stock eventsourcing library, which is synchronous.

`StockRecorder` lets the library's own applications, repositories and published test cases run over
our appender and log. `open_read_only` opens our store with the library's own PostgreSQL recorder
and nothing of ours, as an auditor might: aggregates, past versions and the notification log. It
needs psycopg (`magictoolbox[audit]`).
"""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import CancelledError
from typing import Any, Final, Self, TypeVar, cast
from urllib.parse import unquote, urlsplit
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    ListenNotifySubscription,
    Notification,
    OperationalError,
    StoredEvent,
    Subscription,
)

from events.contracts.envelope import RecordedRow
from events.store.append import Append, Appender, AppendError, LogUnavailable
from events.store.log import VERSION_MAX, Log

CALL_SECONDS_MAX: Final = 60.0
TENANT: Final = "stock"
PAGE: Final = 500

Result = TypeVar("Result")


class LoopThread:
    """An event loop on a thread of its own, for calls out of synchronous code."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._calling = threading.Lock()
        self._is_stopped = False
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run to the end and return the result; raises CancelledError once the loop is stopped."""
        with self._calling:
            if self._is_stopped:
                coroutine.close()
                raise CancelledError
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result(CALL_SECONDS_MAX)

    def stop(self) -> None:
        """Cancel what is under way, for a subscription may still ask, and end loop and thread."""
        with self._calling:
            self._is_stopped = True
        asyncio.run_coroutine_threadsafe(self._cancel_calls(), self._loop).result(CALL_SECONDS_MAX)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel_calls(self) -> None:
        calls = asyncio.all_tasks() - {asyncio.current_task()}
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


class StockAggregateRecorder(AggregateRecorder):
    """The library's recorder of aggregate sequences, over our appender and log."""

    def __init__(self, thread: LoopThread, appender: Appender, log: Log) -> None:
        self._thread = thread
        self._appender = appender
        self._log = log

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append all or nothing; raises the library's IntegrityError on a conflict."""
        self._append(stored_events)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The sequence of one aggregate, or a part of it."""
        aggregate_id = originator_id if isinstance(originator_id, UUID) else UUID(originator_id)
        after = -1 if gt is None else gt
        up_to = VERSION_MAX if lte is None else lte
        rows = list(
            self._thread.call(self._log.read_stream(aggregate_id, after_version=after, up_to=up_to))
        )
        if desc:
            rows.reverse()
        return [_stored_event(row) for row in rows[:limit]]

    def _append(self, stored_events: Sequence[StoredEvent]) -> list[int]:
        append = Append(tenant=TENANT, events=tuple(stored_events))
        try:
            return self._thread.call(self._appender.append(append))
        except LogUnavailable as error:
            raise OperationalError(str(error)) from error
        except AppendError as error:
            raise IntegrityError(str(error)) from error


class StockRecorder(StockAggregateRecorder, ApplicationRecorder):
    """The library's recorder of aggregate and application sequences."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append all or nothing; returns the positions."""
        return self._append(stored_events)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """The log from `start` to `stop`, of these topics only if any are given."""
        position = (start or 0) - (1 if start is not None and inclusive_of_start else 0)
        found: list[Notification] = []
        while len(found) < limit:
            rows = self._thread.call(self._log.read_after(max(position, 0), PAGE))
            for row in rows:
                if stop is not None and row.position > stop:
                    return found[:limit]
                if not topics or row.topic in topics:
                    found.append(_notification(row))
            if len(rows) < PAGE:
                break
            position = rows[-1].position
        return found[:limit]

    def max_notification_id(self) -> int | None:
        """The head of the log; None while it is empty."""
        return self._thread.call(self._log.head()) or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Catch up and then follow; this bridge follows by asking again after each page."""
        return ListenNotifySubscription(self, gt=gt, topics=topics)


def open_read_only(database_url: str) -> Application[UUID]:
    """Open the store with nothing but the stock library, unable to write.

    The caller closes it. Facts must be importable for the library to fold aggregates, so import
    the catalogue first; the notification log needs nothing.
    """
    from eventsourcing.postgres import PostgresApplicationRecorder, PostgresFactory

    class Store(Application[UUID]):
        """Reads `event_store.stored_events`."""

        is_snapshotting_enabled = False

        def construct_recorder(self: Self) -> ApplicationRecorder:
            datastore = cast(PostgresFactory, self.factory).datastore
            return PostgresApplicationRecorder(datastore, events_table_name="stored_events")

    parts = urlsplit(database_url)
    return Store(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": parts.path.removeprefix("/"),
            "POSTGRES_HOST": parts.hostname or "127.0.0.1",
            "POSTGRES_PORT": str(parts.port or 5432),
            "POSTGRES_USER": unquote(parts.username or ""),
            "POSTGRES_PASSWORD": unquote(parts.password or ""),
            "POSTGRES_SCHEMA": "event_store",
            "CREATE_TABLE": "n",
        }
    )


def _stored_event(row: RecordedRow) -> StoredEvent:
    return StoredEvent(row.originator_id, row.originator_version, row.topic, row.state)


def _notification(row: RecordedRow) -> Notification:
    return Notification(
        originator_id=row.originator_id,
        originator_version=row.originator_version,
        topic=row.topic,
        state=row.state,
        id=row.position,
    )
