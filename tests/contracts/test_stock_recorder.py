"""The eventsourcing library's published recorder test cases, run against our recorder."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from eventsourcing.persistence import AggregateRecorder, ApplicationRecorder
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)

from events.store.append import PostgresAppender
from events.store.log import PostgresLog
from events.store.memory import MemoryLog
from events.store.stock import LoopThread, StockAggregateRecorder, StockRecorder
from infrastructure.postgres import Role


async def _pool(url: str) -> asyncpg.Pool:
    return await asyncpg.create_pool(url, min_size=1, max_size=4)


class OverPostgres:
    """Gives each test case a fresh database, reached over the synchronous bridge."""

    @pytest.fixture(autouse=True)
    def _store(self, database_url: str) -> Iterator[None]:
        self.thread = LoopThread()
        self.appender = PostgresAppender(database_url, Role.PROCESSORS)
        pool = self.thread.call(_pool(database_url))
        self.log = PostgresLog(pool)
        yield
        self.thread.call(self.appender.close())
        self.thread.call(pool.close())
        self.thread.stop()

    def new_originator_id(self) -> UUID:
        return uuid4()


class OverMemory:
    """The same over the in-memory twin."""

    @pytest.fixture(autouse=True)
    def _store(self) -> Iterator[None]:
        self.thread = LoopThread()
        self.appender = self.log = MemoryLog()
        yield
        self.thread.stop()

    def new_originator_id(self) -> UUID:
        return uuid4()


class TestAggregateSequencesInPostgres(OverPostgres, AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return StockAggregateRecorder(self.thread, self.appender, self.log)


class TestApplicationSequenceInPostgres(OverPostgres, ApplicationRecorderTestCase):
    def create_recorder(self) -> ApplicationRecorder:
        return StockRecorder(self.thread, self.appender, self.log)


class TestNoInterleavingInPostgres(OverPostgres, NonInterleavingNotificationIDsBaseCase):
    insert_num = 200

    def create_recorder(self) -> ApplicationRecorder:
        return StockRecorder(self.thread, self.appender, self.log)


class TestAggregateSequencesInMemory(OverMemory, AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return StockAggregateRecorder(self.thread, self.appender, self.log)


class TestApplicationSequenceInMemory(OverMemory, ApplicationRecorderTestCase):
    def create_recorder(self) -> ApplicationRecorder:
        return StockRecorder(self.thread, self.appender, self.log)


class TestNoInterleavingInMemory(OverMemory, NonInterleavingNotificationIDsBaseCase):
    insert_num = 200

    def create_recorder(self) -> ApplicationRecorder:
        return StockRecorder(self.thread, self.appender, self.log)
