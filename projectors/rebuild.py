"""Builds the read models anew from the log, beside the live ones, and switches to them.

The new generation is filled by aggregate, gets its keys, and catches up while the live projector
goes on. Then, while nobody can commit, it takes the last events, is compared with the old one, and
becomes the live one in the transaction that moves the checkpoints: readers see the one or the
other, and a projector that wrote to the old one stops. The old generation is kept, to switch back.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import structlog

from events.contracts.envelope import RecordedRow
from events.store.log import Log
from infrastructure.leadership import Leadership
from infrastructure.postgres import Connection
from projectors import checkpoints, generations, parity
from projectors.batches import Batches
from projectors.checkpoints import Standing
from projectors.fillers import Fillers, fill_slice
from projectors.filling import Filling
from projectors.group import Group
from projectors.slices import EVERYTHING

PAGE_EVENTS_MAX: Final = 5_000
"""Events of one transaction while catching up."""
SWITCHES_MAX: Final = 20
"""How often the switch is tried again when readers hold the views."""
SWITCH_PAUSE_SECONDS: Final = 0.5
SWITCH_LOCK_SECONDS: Final = 2

log = structlog.get_logger(__name__)

Connect = Callable[[], Awaitable[Connection]]


class RebuildRunning(Exception):
    """Another rebuild of these read models is under way."""


class NothingToSwitchTo(Exception):
    """There is no earlier generation that this version of the software can keep up to date."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a rebuild or a switch did."""

    generation: int
    position: int
    seconds: float
    is_switched: bool
    differences: Mapping[str, int] = field(default_factory=dict)
    """Rows that only one of the two generations has, as far as compared; empty: not compared."""


class Rebuild:
    """Rebuilds one group; `connect` opens connections for long statements on the read models.

    Without `fillers` this process does all the folding.
    """

    def __init__(
        self,
        make_group: Callable[[], Group],
        event_log: Log,
        connect: Connect,
        connect_to_log: Connect,
        leadership: Leadership,
        fillers: Fillers | None = None,
    ) -> None:
        self._make_group = make_group
        self._log = event_log
        self._connect = connect
        self._connect_to_log = connect_to_log
        self._leadership = leadership
        self._fillers = fillers

    async def run(self, *, switch: bool = True) -> Report:
        """Build the next generation and, unless told otherwise, make it the live one.

        Without a switch it is compared and dropped. Raises RebuildRunning.
        """
        return await self._alone(lambda connection: self._build(connection, switch))

    async def switch_back(self) -> Report:
        """Bring the earlier generation up to date and make it the live one again."""
        return await self._alone(self._return)

    async def _alone(self, work: Callable[[Connection], Awaitable[Report]]) -> Report:
        if not await self._leadership.hold():
            await self._leadership.release()
            raise RebuildRunning(RebuildRunning.__doc__)
        try:
            connection = await self._connect()
            try:
                await generations.ensure_bookkeeping(connection)
                return await work(connection)
            finally:
                await connection.close()
        finally:
            await self._leadership.release()

    async def _build(self, connection: Connection, switch: bool) -> Report:
        began = time.perf_counter()
        group = self._make_group()
        generation = await generations.begin(connection, group)
        up_to = await self._log.head()
        log.info("rebuild_started", group=group.name, generation=generation, up_to=up_to)
        await self._fill(connection, group, generation, up_to)
        log.info("rebuild_filled", group=group.name, seconds=_since(began))
        await generations.add_indexes(connection, group, generation)
        log.info("rebuild_indexed", group=group.name, seconds=_since(began))
        start = await generations.filled(connection, group, generation, up_to)
        return await self._finish(connection, group, start, began, switch)

    async def _return(self, connection: Connection) -> Report:
        began = time.perf_counter()
        group = self._make_group()
        found = await generations.retired(connection, group)
        if found is None or found[1] != group.fingerprint:
            raise NothingToSwitchTo(NothingToSwitchTo.__doc__)
        await group.parking.load(connection, found[0].generation)
        return await self._finish(connection, group, found[0], began, switch=True)

    async def _fill(
        self, connection: Connection, group: Group, generation: int, up_to: int
    ) -> None:
        filling = Filling(connection, group, generation)
        reader = await self._connect_to_log()
        try:
            if self._fillers is None:
                await fill_slice(filling, reader, up_to, EVERYTHING)
            else:
                await self._fillers.fill(filling, reader, generation, up_to)
        finally:
            await reader.close()
        await filling.write_sums()

    # -- catching up and switching --------------------------------------------------------------

    async def _finish(
        self,
        connection: Connection,
        group: Group,
        standing: Standing,
        began: float,
        switch: bool,
    ) -> Report:
        batches = Batches(group, generations.moving)
        for _ in range(SWITCHES_MAX):
            standing = await self._catch_up(connection, batches, standing)
            try:
                report = await self._switch(connection, group, batches, standing, began, switch)
            except asyncpg.LockNotAvailableError:
                # What was applied under the lock was rolled back with it.
                group.clear()
                await group.parking.load(connection, standing.generation)
                log.info("rebuild_switch_postponed", group=group.name)
                await asyncio.sleep(SWITCH_PAUSE_SECONDS)
            else:
                if not switch:
                    await generations.drop(connection, group, standing.generation)
                return report
        raise TimeoutError("readers do not let go of the views")

    async def _catch_up(
        self, connection: Connection, batches: Batches, standing: Standing, to: int | None = None
    ) -> Standing:
        """Apply what follows in the log, until less than a page is left, or exactly up to `to`."""
        while True:
            limit = PAGE_EVENTS_MAX if to is None else min(to - standing.position, PAGE_EVENTS_MAX)
            if limit <= 0:
                return standing
            rows: Sequence[RecordedRow] = await self._log.read_after(standing.position, limit)
            if not rows:
                return standing
            standing = (await batches.apply(connection, standing, rows)).standing
            if to is None and len(rows) < limit:
                return standing

    async def _switch(
        self,
        connection: Connection,
        group: Group,
        batches: Batches,
        standing: Standing,
        began: float,
        switch: bool,
    ) -> Report:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{SWITCH_LOCK_SECONDS}s'")
            # From here on no projector commits, until this transaction ends.
            live_at = await checkpoints.lock(connection, group)
            standing = await self._catch_up(connection, batches, standing, live_at)
            found = await self._compared(connection, group, standing, live_at)
            if switch:
                await generations.enthrone(connection, group, standing, live_at)
                await checkpoints.replace(connection, group, standing)
        log.info(
            "rebuild_finished",
            group=group.name,
            generation=standing.generation,
            position=standing.position,
            switched=switch,
            differences=found,
        )
        return Report(standing.generation, standing.position, _since(began), switch, found)

    async def _compared(
        self, connection: Connection, group: Group, standing: Standing, live_at: int
    ) -> Mapping[str, int]:
        """How the new generation differs from the live one, where that can be told."""
        if standing.position != live_at:
            return {}
        try:
            live = await checkpoints.read_standing(connection, group)
        except (checkpoints.Damaged, checkpoints.MadeByNewerProjections):
            return {}
        if not await generations.tables_present(connection, group, live.generation):
            return {}
        return await parity.differences(connection, group, standing.generation, live.generation)


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 3)
