"""Offers on a real READY, and how lost ones are told from those that only wait."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from events.contracts.subjects import READY_STREAM
from infrastructure.broker import Broker
from processors.lanes import Runnable
from processors.ready import CONSUMER, BadOffer, JetStreamReady, Offer
from tests.fixtures.events import NOON
from tests.integration.processors.floor import Floor


@pytest.fixture
async def ready(floor: Floor) -> AsyncIterator[JetStreamReady]:
    broker = Broker(floor.nats, "offering")
    await broker.start()
    assert await broker.wait_connected(30)
    made = JetStreamReady(broker)
    await made.clear()
    yield made
    await made.close()
    await broker.stop()


def runnables(count: int) -> list[Runnable]:
    return [Runnable(UUID(int=number), 1, number, NOON) for number in range(1, count + 1)]


async def offered(floor: Floor, ready: JetStreamReady, count: int) -> list[Runnable]:
    jobs = runnables(count)
    await ready.offer(jobs)

    async def answered() -> bool:
        return jobs[-1].sequence is not None

    await floor.until(answered, "the offers are not answered")
    return jobs


async def take(floor: Floor, count: int) -> list[object]:
    """What a worker does that dies before it answers."""
    taker = await floor.broker.jetstream.pull_subscribe_bind(CONSUMER, READY_STREAM)
    return list(await taker.fetch(count))


def numbers(jobs: list[Runnable]) -> list[int]:
    return [job.place for job in jobs]


async def test_every_offer_of_a_batch_knows_its_sequence(
    floor: Floor, ready: JetStreamReady
) -> None:
    jobs = await offered(floor, ready, 4)

    first = jobs[0].sequence
    assert first is not None
    assert [job.sequence for job in jobs] == [first, first + 1, first + 2, first + 3]
    message = await floor.broker.jetstream.get_msg(READY_STREAM, seq=first + 2)
    assert Offer.parse(message.data or b"") == Offer(jobs[2].job_id, 1)


async def test_what_waits_is_not_lost(floor: Floor, ready: JetStreamReady) -> None:
    jobs = await offered(floor, ready, 3)

    for _ in range(4):
        assert await ready.lost(jobs) == []


async def test_what_was_cleared_is_lost(floor: Floor, ready: JetStreamReady) -> None:
    jobs = await offered(floor, ready, 3)

    await floor.broker.jetstream.purge_stream(READY_STREAM)

    assert numbers(list(await ready.lost(jobs))) == [1, 2, 3]


async def test_an_offer_taken_out_of_the_middle_is_lost(
    floor: Floor, ready: JetStreamReady
) -> None:
    jobs = await offered(floor, ready, 3)

    await floor.broker.jetstream.delete_msg(READY_STREAM, jobs[1].sequence or 0)

    assert numbers(list(await ready.lost(jobs))) == [2]


async def test_offers_of_a_stream_that_was_made_anew_are_lost(
    floor: Floor, ready: JetStreamReady
) -> None:
    jobs = await offered(floor, ready, 3)
    await floor.broker.jetstream.delete_stream(READY_STREAM)
    assert await ready.lost(jobs) == [], "nobody knows while there is none"

    await floor.declare()

    assert numbers(list(await ready.lost(jobs))) == [1, 2, 3]


async def test_an_offer_that_was_never_answered_is_lost(
    floor: Floor, ready: JetStreamReady
) -> None:
    await offered(floor, ready, 1)

    assert numbers(list(await ready.lost(runnables(2)))) == [1, 2]


async def test_what_a_worker_keeps_is_offered_once_more_and_not_again(
    floor: Floor, ready: JetStreamReady
) -> None:
    jobs = await offered(floor, ready, 3)
    await take(floor, 2)

    looks = [numbers(list(await ready.lost(jobs))) for _ in range(5)]

    assert looks == [[], [1, 2], [], [], []]


@pytest.mark.parametrize("body", [b"", b"7", b"nonsense/1", b"\xff/1", b"/", b"1/x"])
def test_what_is_no_offer_is_refused(body: bytes) -> None:
    with pytest.raises(BadOffer):
        Offer.parse(body)


def test_an_offer_survives_its_journey() -> None:
    offer = Offer(UUID(int=9), 12)

    assert Offer.parse(offer.body) == offer
