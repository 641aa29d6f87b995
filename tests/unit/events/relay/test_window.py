"""The window believes an answer only if it is the right one."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from events.relay.checkpoints import REFILL_EVENTS_MAX, Checkpoint, first_wanted
from events.relay.window import (
    PIECE_BYTES_MAX,
    PIECE_EVENTS_MAX,
    WINDOW_BYTES_MAX,
    WINDOW_EVENTS_MAX,
    AnswersMissing,
    ConnectionChanged,
    PublishRefused,
    Window,
)
from infrastructure.clock import SystemClock
from infrastructure.nats_client import LastingClient

INBOX = "_INBOX.relay.1"


class Wire(LastingClient):
    """A client whose connection is a list."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self._status = Client.CONNECTED

    async def send(self, commands: bytes) -> None:
        self.pieces.append(commands)


def rows(first: int, count: int, size: int = 10) -> list[dict[str, Any]]:
    """Consecutive rows of the log."""
    return [
        {
            "notification_id": position,
            "originator_id": UUID(int=position),
            "originator_version": 1,
            "topic": "magictoolbox.job.submitted",
            "tenant": "acme",
            "state": bytes(size),
            "recorded_at": SystemClock().now(),
        }
        for position in range(first, first + count)
    ]


def answer(position: int, body: str | None = None) -> Msg:
    """An answer of the stream to the piece that ends at a position."""
    data = body if body is not None else f'{{"stream":"EVENTS","seq":{position}}}'
    return Msg(Wire(), subject=f"{INBOX}.{position}", data=data.encode())


async def test_an_answer_stands_for_all_pieces_before_it() -> None:
    window = Window(Wire(), INBOX, 100)
    await window.send(rows(101, 1 + 3 * PIECE_EVENTS_MAX))

    window.answered(answer(101 + 2 * PIECE_EVENTS_MAX))
    assert window.stored == 101 + 2 * PIECE_EVENTS_MAX
    window.answered(answer(101 + 3 * PIECE_EVENTS_MAX))

    await window.drain()
    assert window.stored == window.sent == 101 + 3 * PIECE_EVENTS_MAX


async def test_the_first_event_of_a_session_travels_alone_so_that_its_refusal_is_heard() -> None:
    wire = Wire()
    window = Window(wire, INBOX, 0)

    await window.send(rows(1, 20))
    await window.send(rows(21, 20))

    assert [piece.count(b"HPUB ") for piece in wire.pieces] == [1, 19, 20]


@pytest.mark.parametrize(
    "body",
    [
        '{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"},"seq":0}',
        '{"stream":"EVENTS","seq":6}',
        '{"stream":"EVENTS"}',
        "nonsense",
        "[]",
        "",
    ],
)
async def test_any_other_answer_ends_the_window(body: str) -> None:
    window = Window(Wire(), INBOX, 0)
    await window.send(rows(1, 5))

    window.answered(answer(5, body))

    assert window.stored == 0
    with pytest.raises(PublishRefused):
        await window.drain()
    with pytest.raises(PublishRefused):
        await window.send(rows(6, 1))


async def test_after_a_refusal_no_later_answer_counts() -> None:
    window = Window(Wire(), INBOX, 0)
    await window.send(rows(1, 2 * PIECE_EVENTS_MAX))

    window.answered(answer(PIECE_EVENTS_MAX, '{"error":{"err_code":10071}}'))
    window.answered(answer(2 * PIECE_EVENTS_MAX))

    assert window.stored == 0
    with pytest.raises(PublishRefused):
        await window.drain()


async def test_silence_ends_the_window() -> None:
    window = Window(Wire(), INBOX, 0, answer_seconds_max=0.05)
    await window.send(rows(1, 5))

    with pytest.raises(AnswersMissing):
        await window.drain()


async def test_another_connection_ends_the_window() -> None:
    wire = Wire()
    window = Window(wire, INBOX, 0)
    await window.send(rows(1, 5))

    wire.stats["reconnects"] += 1

    with pytest.raises(ConnectionChanged):
        await window.drain()


@pytest.mark.parametrize(("count", "size"), [(5_000, 10), (400, 100_000), (30, 500_000)])
async def test_what_is_on_its_way_is_bounded_in_events_and_bytes(count: int, size: int) -> None:
    wire = Wire()
    window = Window(wire, INBOX, 0)
    sending = asyncio.create_task(window.send(rows(1, count, size)))

    while not sending.done():
        await asyncio.sleep(0)
        under_way = window.sent - window.stored
        assert under_way <= WINDOW_EVENTS_MAX
        assert under_way * size <= WINDOW_BYTES_MAX
        window.answered(answer(window.sent))
    await sending
    await window.drain()

    assert window.stored == count
    for piece in wire.pieces:
        events = piece.count(b"HPUB ")
        assert events <= PIECE_EVENTS_MAX
        assert events == 1 or events * size <= PIECE_BYTES_MAX
    assert sum(piece.count(b"HPUB ") for piece in wire.pieces) == count


@pytest.mark.parametrize(
    ("head", "positions", "first"),
    [
        (0, [], 1),
        (10, [], 1),
        (10, [10], 11),
        (10, [4, 7], 5),
        (10, [0, 7], 1),
        (10, [15], 11),
        (REFILL_EVENTS_MAX + 10, [3], 11),
        (REFILL_EVENTS_MAX + 10, [], 11),
    ],
)
def test_a_new_stream_begins_where_the_slowest_reader_is(
    head: int, positions: list[int], first: int
) -> None:
    readers = [Checkpoint(str(position), position) for position in positions]

    assert first_wanted(head, readers) == first
