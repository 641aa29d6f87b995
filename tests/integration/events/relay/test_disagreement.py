"""A stream that tells another story than the log stops the relay until an operator mends it."""

import asyncio
from collections.abc import Callable

import asyncpg
import pytest
from nats.js.api import RetentionPolicy
from typer.testing import CliRunner

from events.contracts.subjects import EVENTS_STREAM
from events.relay.reconcile import NothingToReconcile, reconcile
from infrastructure import metrics
from infrastructure.cli import relay as relay_command
from infrastructure.health import CheckFailed
from tests.fixtures.servers import Server
from tests.integration.events.relay.stage import RunningRelay, Stage, staged, until

COLUMNS = (
    """originator_id, originator_version, topic, state, notification_id, recorded_at, tenant"""
)


async def restore(source: str, target: str, position: int) -> None:
    """Make the target what a backup of the source, taken at a position, would be."""
    old, new = await asyncpg.connect(source), await asyncpg.connect(target)
    try:
        rows = await old.fetch(
            f"SELECT {COLUMNS} FROM event_store.stored_events WHERE notification_id <= $1",
            position,
        )
        await new.copy_records_to_table(
            "stored_events",
            schema_name="event_store",
            columns=COLUMNS.split(", "),
            records=[tuple(row) for row in rows],
        )
        await new.execute("UPDATE event_store.event_head SET position = $1", position)
        await new.execute("UPDATE read_models.checkpoints SET position = $1", position + 5)
    finally:
        await old.close()
        await new.close()


async def alarmed(running: RunningRelay, code: str) -> None:
    """Wait until the relay is not ready for a reason."""

    async def is_alarmed() -> bool:
        try:
            await running.relay.check.probe()
        except CheckFailed as failed:
            return str(failed) == code
        return False

    await until(is_alarmed)
    assert metrics.REGISTRY.get_sample_value("magictoolbox_relay_halted") == 1


async def mended(running: RunningRelay) -> None:
    """Wait until it has resumed by itself."""

    async def is_ready() -> bool:
        try:
            return (
                await running.relay.check.probe() == "leads" and running.relay.position is not None
            )
        except CheckFailed:
            return False

    await until(is_ready)
    assert metrics.REGISTRY.get_sample_value("magictoolbox_relay_halted") == 0


@pytest.mark.parametrize(
    ("appended_after", "code"), [(0, "STREAM_AHEAD_OF_LOG"), (100, "STREAM_DIVERGED")]
)
async def test_a_restored_log_stops_the_relay_until_it_is_reconciled(
    stage: Stage,
    server: Server,
    temporary_database: Callable[[], str],
    appended_after: int,
    code: str,
) -> None:
    before = await stage.relay()
    await stage.until_relayed(await stage.append(1_000))
    await before.stop()
    restored = temporary_database()
    await restore(stage.postgres.dsn, restored, 950)

    async with staged(restored, server.url) as after:
        await after.connected()
        await after.append(appended_after)
        running = await after.relay()
        await alarmed(running, code)
        assert (await after.stream()).state.last_seq == 1_000

        done = await reconcile(after.jetstream, after.nats, after.postgres)
        await mended(running)
        await after.until_relayed(await after.append(10))

        assert done.stream_position == 1_000
        assert done.agreed_position == 950
        assert len(done.to_rebuild) >= 1
        await after.assert_mirrored(first=done.first_position)


async def test_an_operator_reconciles_on_the_command_line(
    stage: Stage, server: Server, temporary_database: Callable[[], str]
) -> None:
    before = await stage.relay()
    await stage.until_relayed(await stage.append(20))
    await before.stop()
    restored = temporary_database()
    await restore(stage.postgres.dsn, restored, 10)
    environment = {"DATABASE_URL": restored, "NATS_URL": server.url}

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(relay_command.app, arguments, env=environment)
        assert done.exit_code == 0, done.output
        return done.output

    told = await asyncio.to_thread(run, "reconcile", "--yes")
    again = await asyncio.to_thread(run, "reconcile", "--yes")

    assert "stream was at 20, the log is at 10" in told
    assert "they agreed up to 10" in told
    assert "rebuild" in told
    assert str(NothingToReconcile.__doc__) in again


async def test_a_relay_that_sees_its_log_go_back_stops(
    stage: Stage, server: Server, temporary_database: Callable[[], str]
) -> None:
    """The log is replaced while nothing is appended: the next look finds it."""
    running = await stage.relay(verify_seconds=0.1)
    await stage.until_relayed(await stage.append(20))
    restored = temporary_database()
    await restore(stage.postgres.dsn, restored, 10)

    running.relay._tail.let_go()
    running.relay._tail._settings = stage.postgres.model_copy(update={"database_url": restored})

    await alarmed(running, "STREAM_AHEAD_OF_LOG")


async def test_a_stranger_who_publishes_into_the_stream_is_noticed(stage: Stage) -> None:
    running = await stage.relay(verify_seconds=0.1)
    await stage.until_relayed(await stage.append(20))

    await stage.jetstream.publish("events.acme.job.invented", b"{}")
    await alarmed(running, "STREAM_AHEAD_OF_LOG")
    await stage.append(20)
    await alarmed(running, "STREAM_DIVERGED")
    await reconcile(stage.jetstream, stage.nats, stage.postgres)
    await mended(running)

    await stage.until_relayed(40)
    await stage.assert_mirrored()


async def test_a_stream_of_the_wrong_kind_stops_the_relay_and_is_replaced_by_hand(
    stage: Stage,
) -> None:
    await stage.jetstream.add_stream(
        name=EVENTS_STREAM, subjects=["events.>"], retention=RetentionPolicy.INTEREST
    )
    await stage.append(20)
    running = await stage.relay()
    await alarmed(running, "STREAM_UNUSABLE")

    await reconcile(stage.jetstream, stage.nats, stage.postgres)
    await stage.until_relayed(20)

    await mended(running)
    await stage.assert_mirrored()


async def test_what_agrees_is_left_alone_unless_forced(stage: Stage) -> None:
    await stage.relay()
    await stage.until_relayed(await stage.append(20))
    created = (await stage.stream()).created

    with pytest.raises(NothingToReconcile):
        await reconcile(stage.jetstream, stage.nats, stage.postgres)
    assert (await stage.stream()).created == created
    done = await reconcile(stage.jetstream, stage.nats, stage.postgres, even_if_agreed=True)
    await stage.until_relayed(20)

    assert done.agreed_position == 20
    assert done.to_rebuild == ()
    assert (await stage.stream()).created != created


async def test_a_hole_in_the_log_stops_the_relay(stage: Stage) -> None:
    await stage.append(20)
    connection = await asyncpg.connect(stage.postgres.dsn)
    await connection.execute("ALTER TABLE event_store.stored_events DISABLE TRIGGER USER")
    await connection.execute("DELETE FROM event_store.stored_events WHERE notification_id = 7")
    await connection.close()

    running = await stage.relay()

    await alarmed(running, "LOG_HOLE")
