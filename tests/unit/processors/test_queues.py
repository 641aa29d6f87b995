"""The front of a queue."""

from datetime import timedelta
from uuid import UUID

from processors.queues import Queue, Queues, Runnable
from tests.fixtures.events import NOON


def runnable(number: int) -> Runnable:
    return Runnable(UUID(int=number), 1, number, NOON + timedelta(seconds=number))


def filled(*numbers: int, front_max: int = 100) -> tuple[Queues, Queue]:
    queues = Queues(front_max)
    for number in numbers:
        queues.add("default", runnable(number))
    return queues, queues.named("default")


def offered(queue: Queue, limit: int, now: float = 0.0) -> list[int]:
    return [job.place for job in queue.offer(limit, now)]


def test_first_in_is_first_out() -> None:
    _, queue = filled(1, 2, 3)

    assert offered(queue, 2) == [1, 2]
    assert offered(queue, 2) == [3]


def test_nothing_is_offered_without_room() -> None:
    _, queue = filled(1)

    assert offered(queue, 0) == []
    assert offered(queue, -5) == []


def test_what_a_worker_gave_up_goes_first() -> None:
    queues, queue = filled(5, 6)

    queues.add_first("default", runnable(2))

    assert offered(queue, 3) == [2, 5, 6]


def test_a_cancelled_job_is_not_offered() -> None:
    queues, queue = filled(1, 2)

    queues.remove(UUID(int=1))

    assert offered(queue, 5) == [2]


def test_a_claimed_job_makes_room_on_offer() -> None:
    queues, queue = filled(1, 2)
    queue.offer(1, 0.0)

    queues.remove(UUID(int=1))

    assert queue.offered == {}
    assert queue.depth == 1


def test_beyond_the_front_jobs_are_left_to_postgres() -> None:
    queues, queue = filled(1, 2, 3, 4, front_max=2)

    assert (queue.is_whole, queue.waiting, queue.reach) == (False, 2, 2)

    queue.offer(2, 0.0)
    queues.fill(queue, [runnable(3), runnable(4)], is_all=True)

    assert offered(queue, 5) == [3, 4]
    queues.add("default", runnable(5))
    assert offered(queue, 5) == [5]


def test_a_job_that_came_after_a_cut_waits_for_postgres() -> None:
    queues, queue = filled(1, 2, 3, front_max=2)
    queue.offer(2, 0.0)

    queues.add("default", runnable(4))

    assert offered(queue, 5) == [], "3 comes first, and stands in Postgres"


def test_a_job_given_up_beyond_the_reach_is_there_once() -> None:
    queues, queue = filled(1, 2, 3, front_max=2)
    queue.offer(2, 0.0)
    queues.add_first("default", runnable(3))

    queues.fill(queue, [runnable(3), runnable(4)], is_all=True)

    assert offered(queue, 5) == [3, 4]


def test_a_lost_offer_is_made_again_before_others() -> None:
    _, queue = filled(1, 2, 3)
    first, _ = queue.offer(2, now=1.0)
    first.sequence = 40

    queue.take_back(first)

    assert offered(queue, 5, now=9.0) == [1, 3]
    assert first.sequence is None


def test_a_claimed_job_is_not_taken_back() -> None:
    queues, queue = filled(1)
    (job,) = queue.offer(1, now=1.0)
    queues.remove(job.job_id)

    queue.take_back(job)

    assert offered(queue, 5) == []


def test_old_offers_are_found_oldest_first() -> None:
    _, queue = filled(1, 2, 3)
    queue.offer(1, now=1.0)
    queue.offer(1, now=2.0)
    queue.offer(1, now=3.0)

    assert [job.place for job in queue.offered_before(2.0)] == [1, 2]


def test_the_oldest_tells_since_when_a_queue_waits() -> None:
    queues, queue = filled(4, 5)
    queues.add_first("default", runnable(2))

    assert queue.oldest() == runnable(2).since


def test_an_empty_queue_is_forgotten_and_a_long_one_is_not() -> None:
    queues, queue = filled(1, 2, 3, front_max=2)
    queues.named("idle")

    gone = queues.forget_empty()

    assert [each.name for each in gone] == ["idle"]
    assert list(queues) == [queue]
