"""Mends what the relay must not mend alone: a stream that tells another story than the log.

The log is right. The stream is deleted and made anew from it, with all consumers. Readers that had
come further than the last position both agree on have applied events that the log does not hold;
they are named, and must be rebuilt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import StreamState
from nats.js.errors import NotFoundError

from events.contracts.subjects import EVENTS_STREAM
from events.relay.agreement import Disagreement, check_agreement, last_agreed
from events.relay.checkpoints import Checkpoint, Checkpoints
from events.relay.streams import StreamUnusable, declare
from events.relay.tail import Tail
from infrastructure.settings import NatsSettings, PostgresSettings

COMPARED: Final = 100
"""How many of the last messages are compared before all is called well."""


class NothingToReconcile(Exception):
    """Stream and log agree; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was found, and what was done about it."""

    stream_position: int
    """The last position of the stream before."""
    log_position: int
    agreed_position: int | None
    """The last position of which both said the same; None if it was older than the stream."""
    first_position: int
    """Where the new stream begins."""
    to_rebuild: tuple[str, ...]
    """Readers that have seen what the log does not hold."""


async def reconcile(
    jetstream: JetStreamContext,
    nats: NatsSettings,
    postgres: PostgresSettings,
    *,
    even_if_agreed: bool = False,
) -> Reconciled:
    """Make EVENTS anew from the log; raises NothingToReconcile, and LogHole if the log is damaged.

    A running relay may go on running: it waits for this, and resumes.
    """
    checkpoints, tail = Checkpoints(postgres), Tail(postgres)
    try:
        head, readers = await checkpoints.read()
        state = await _state(jetstream)
        agreed: int | None = state.last_seq
        if not await _agree(jetstream, nats, checkpoints, tail):
            agreed = await last_agreed(jetstream, tail.fetch_row, state, head)
        elif not even_if_agreed:
            raise NothingToReconcile(NothingToReconcile.__doc__)
    finally:
        tail.let_go()
    await jetstream.delete_stream(EVENTS_STREAM)
    made = await declare(jetstream, nats, checkpoints.first_wanted)
    # What has no message yet tells of its start only by the last position before it.
    first = made.state.first_seq if made.state.messages else made.state.last_seq + 1
    return Reconciled(state.last_seq, head, agreed, first, _to_rebuild(readers, agreed))


async def _state(jetstream: JetStreamContext) -> StreamState:
    try:
        return (await jetstream.stream_info(EVENTS_STREAM)).state
    except NotFoundError:
        # Nothing is left to disagree; the leading relay makes it anew without being asked.
        raise NothingToReconcile("There is no stream EVENTS; the relay will make it.") from None


async def _agree(
    jetstream: JetStreamContext, nats: NatsSettings, checkpoints: Checkpoints, tail: Tail
) -> bool:
    try:
        info = await declare(jetstream, nats, checkpoints.first_wanted)
        head = await tail.head()
        await check_agreement(jetstream, tail.fetch_row, info.state, head, COMPARED)
    except (Disagreement, StreamUnusable):
        return False
    return True


def _to_rebuild(readers: Sequence[Checkpoint], agreed: int | None) -> tuple[str, ...]:
    return tuple(sorted({reader.name for reader in readers if reader.position > (agreed or 0)}))
