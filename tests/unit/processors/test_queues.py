"""What waits, in memory: lanes and their fronts, turns between tenants, gates, what is held."""

from datetime import datetime, timedelta
from uuid import UUID

from events.contracts.limit import LimitScope
from events.contracts.values import PLATFORM_TENANT
from processors.gates import Bound, Scope
from processors.lanes import LaneKey, Runnable
from processors.queues import Queues, Rules
from tests.fixtures.events import NOON

CLAIM_SECONDS = 5.0
KEY = LaneKey("default", 0, "acme", "no-op", "")


def runnable(number: int, since: datetime = NOON) -> Runnable:
    return Runnable(UUID(int=number), 1, number, since + timedelta(seconds=number))


def lane(**changes: object) -> LaneKey:
    return KEY._replace(**changes)


class Scene:
    """Queues, and a time that is moved by hand."""

    def __init__(self, *numbers: int, front_max: int = 100, aging_seconds: float = 1e9) -> None:
        rules = Rules(front_max=front_max, aging_seconds=aging_seconds, claim_seconds=CLAIM_SECONDS)
        self.queues = Queues(rules)
        self.now = 1_000.0
        self.add(*numbers)

    def add(self, *numbers: int, **changes: object) -> None:
        for number in numbers:
            self.queues.add(lane(**changes), runnable(number))

    def offered(self, limit: int, queue: str = "default") -> list[int]:
        """The places of what goes on offer now."""
        moment = NOON + timedelta(seconds=self.now)
        jobs = self.queues.offer(self.queues.named(queue), limit, self.now, moment)
        return [job.place for job in jobs]

    def claimed(self, *numbers: int) -> None:
        for number in numbers:
            self.queues.claimed(UUID(int=number), None)

    def ended(self, *numbers: int) -> None:
        for number in numbers:
            self.queues.release(UUID(int=number))

    def limit(self, kind: LimitScope, subject: str = "", **bound: object) -> None:
        self.queues.set_limit(Scope("acme", kind, subject), Bound(**bound))  # type: ignore[arg-type]

    @property
    def depth(self) -> int:
        return self.queues.loads()["default"].depth


def test_first_in_is_first_out() -> None:
    scene = Scene(1, 2, 3)

    assert scene.offered(2) == [1, 2]
    assert scene.offered(2) == [3]


def test_nothing_is_offered_without_room() -> None:
    scene = Scene(1)

    assert scene.offered(0) == []
    assert scene.offered(-5) == []


def test_what_a_worker_gave_up_goes_at_its_old_place() -> None:
    scene = Scene(2, 5, 6)
    scene.offered(1)
    scene.claimed(2)

    scene.add(2)

    assert scene.offered(3) == [2, 5, 6]


def test_tools_and_keys_of_a_tenant_go_in_the_order_of_their_jobs() -> None:
    scene = Scene()
    for number in range(1, 9):
        scene.add(number, tool=f"tool-{number % 3}", limit_key=f"key-{number % 2}")

    assert scene.offered(8) == list(range(1, 9))


def test_a_cancelled_job_is_not_offered() -> None:
    scene = Scene(1, 2)

    scene.queues.cancelled(UUID(int=1), None)

    assert scene.offered(5) == [2]


def test_a_claimed_job_makes_room_on_offer() -> None:
    scene = Scene(1, 2)
    scene.offered(1)

    scene.claimed(1)

    assert scene.queues.offers == 0
    assert scene.depth == 1


def test_beyond_the_front_jobs_are_left_to_postgres() -> None:
    scene = Scene(1, 2, 3, 4, front_max=2)
    assert scene.offered(5) == [1, 2]
    (low,) = scene.queues.low()
    assert (low.reach, low.beyond) == (2, 2)

    scene.queues.fill(low, [runnable(3), runnable(4)], 2)

    assert scene.offered(5) == [3, 4]
    scene.add(5)
    assert scene.offered(5) == [5]


def test_a_job_that_came_after_a_cut_waits_for_postgres() -> None:
    scene = Scene(1, 2, 3, front_max=2)
    scene.offered(2)

    scene.add(4)

    assert scene.offered(5) == [], "3 comes first, and stands in Postgres"
    assert scene.depth == 4


def test_a_job_claimed_or_cancelled_beyond_the_front_is_counted_out() -> None:
    scene = Scene(1, 2, 3, 4, front_max=1)

    scene.queues.claimed(UUID(int=3), KEY)
    scene.queues.cancelled(UUID(int=4), KEY)

    assert scene.depth == 2


def test_a_front_that_postgres_cannot_fill_is_the_whole_lane() -> None:
    scene = Scene(1, 2, 3, 4, front_max=1)
    scene.offered(1)
    (low,) = scene.queues.low()

    scene.queues.fill(low, [runnable(4)], 10)

    assert (low.depth, low.beyond) == (1, 0)


def test_a_lost_offer_is_made_again_before_others() -> None:
    scene = Scene(1, 2, 3)
    scene.offered(2)
    queue = scene.queues.named("default")
    job = queue.offered[UUID(int=1)]
    job.sequence = 40

    scene.queues.take_back(queue, job)

    assert scene.offered(5) == [1, 3]
    assert job.sequence is None


def test_a_lost_offer_finds_its_lane_though_that_was_forgotten() -> None:
    scene = Scene(1)
    scene.offered(1)
    queue = scene.queues.named("default")
    scene.queues.forget_empty(scene.now)
    scene.add(2)

    scene.queues.take_back(queue, queue.offered[UUID(int=1)])
    scene.limit(LimitScope.TOOL, "other", concurrency=1)

    assert scene.depth == 2
    assert scene.offered(9) == [1, 2]


def test_a_claimed_job_is_not_taken_back() -> None:
    scene = Scene(1)
    scene.offered(1)
    queue = scene.queues.named("default")
    job = queue.offered[UUID(int=1)]
    scene.claimed(1)

    scene.queues.take_back(queue, job)

    assert scene.offered(5) == []


def test_old_offers_are_found_oldest_first() -> None:
    scene = Scene(1, 2, 3)
    for _ in range(3):
        scene.now += 1
        scene.offered(1)

    older = scene.queues.named("default").offered_before(scene.now - 1)

    assert [job.place for job in older] == [1, 2]


def test_a_load_tells_how_many_wait_and_since_when() -> None:
    scene = Scene(4, 5)
    scene.add(2, priority=3)
    scene.offered(1)

    load = scene.queues.loads()["default"]

    assert (load.depth, load.oldest) == (3, runnable(2).since)


def test_an_empty_queue_is_forgotten_and_a_long_one_is_not() -> None:
    scene = Scene(1, 2, 3, front_max=2)
    scene.queues.named("idle")
    scene.offered(2)
    scene.claimed(1, 2)

    assert scene.queues.forget_empty(scene.now) == ["idle"]
    assert [queue.name for queue in scene.queues] == ["default"]


# -- priorities and tenants -------------------------------------------------------------


def test_a_higher_priority_goes_first() -> None:
    scene = Scene(1, 2)
    scene.add(3, priority=5)

    assert scene.offered(3) == [3, 1, 2]


def test_a_job_that_waits_long_enough_goes_before_a_higher_priority() -> None:
    scene = Scene(aging_seconds=10)
    scene.queues.add(lane(), runnable(1))
    late = Runnable(UUID(int=2), 1, 2, NOON + timedelta(seconds=scene.now - 1))
    scene.queues.add(lane(priority=5), late)

    scene.now = 1_000.0
    assert scene.offered(2) == [1, 2], "1 has waited for more than 5 steps longer"


def test_another_priority_moves_a_job_at_once() -> None:
    scene = Scene(1, 2, 3)

    scene.queues.reprioritised(UUID(int=3), KEY, runnable(3), 9)

    assert scene.offered(3) == [3, 1, 2]
    assert scene.depth == 3


def test_a_job_beyond_the_front_gets_another_priority() -> None:
    scene = Scene(1, 2, 3, front_max=1)

    scene.queues.reprioritised(UUID(int=3), KEY, runnable(3), 9)

    assert scene.offered(1) == [3]
    assert scene.depth == 3


def test_a_job_on_offer_that_gets_a_lower_priority_waits_at_its_new_place() -> None:
    scene = Scene(1, 2, 3)
    scene.offered(2)
    queue = scene.queues.named("default")

    scene.queues.reprioritised(UUID(int=1), KEY, runnable(1), -5)
    found = scene.queues.to_withdraw(queue)
    for job in found:
        scene.queues.withdraw(queue, job, scene.now)

    assert [job.place for job in found] == [1]
    assert scene.queues.to_withdraw(queue) == []
    assert scene.depth == 3
    assert scene.offered(9) == [3, 1]


def test_a_job_on_offer_that_gets_a_higher_priority_stays_there() -> None:
    scene = Scene(1, 2, 3, 4)
    scene.offered(3)
    queue = scene.queues.named("default")

    scene.queues.reprioritised(UUID(int=3), KEY, runnable(3), 9)

    assert scene.queues.to_withdraw(queue) == []
    scene.queues.take_back(queue, queue.offered[UUID(int=2)])
    scene.queues.take_back(queue, queue.offered[UUID(int=3)])
    assert scene.offered(9) == [3, 2, 4], "the priority counts once the offer is lost"


def test_a_job_that_was_claimed_meanwhile_is_not_taken_back() -> None:
    scene = Scene(1)
    scene.offered(1)
    scene.queues.reprioritised(UUID(int=1), KEY, runnable(1), -5)
    scene.claimed(1)

    scene.add(1)
    scene.offered(1)

    assert scene.queues.to_withdraw(scene.queues.named("default")) == []


def test_a_job_that_is_moved_among_many_leaves_no_hole_before_it() -> None:
    scene = Scene(front_max=1)
    scene.add(1, 2, 3, priority=-5)
    scene.add(9)
    scene.offered(1)
    queue = scene.queues.named("default")
    scene.queues.reprioritised(UUID(int=9), KEY, runnable(9), -5)
    scene.queues.withdraw(queue, queue.offered[UUID(int=9)], scene.now)

    scene.now += CLAIM_SECONDS
    scene.queues.release_doubtful(scene.now)
    first = scene.offered(9)
    (low,) = scene.queues.low()

    assert (first, low.reach, low.beyond) == ([1], 1, 3), "9 is left to Postgres with 2 and 3"
    scene.queues.fill(low, [runnable(2), runnable(3), runnable(9)], 9)
    assert scene.offered(9) == [2, 3, 9]


def test_tenants_take_turns() -> None:
    scene = Scene(1, 2, 3, 4)
    scene.add(5, 6, tenant="globex")
    scene.add(7, tenant="initech")

    assert scene.offered(7) == [1, 5, 7, 2, 6, 3, 4]


def test_one_job_among_ten_thousand_of_another_tenant_is_the_second_to_go() -> None:
    scene = Scene(*range(1, 10_001), front_max=20_000)
    scene.offered(100)

    scene.add(10_001, tenant="globex")

    assert scene.offered(2) == [101, 10_001]


# -- limits -----------------------------------------------------------------------------


def test_no_more_jobs_are_let_go_than_may_run_at_once() -> None:
    scene = Scene(*range(1, 7))
    scene.limit(LimitScope.TENANT, concurrency=2)

    assert scene.offered(9) == [1, 2]
    scene.claimed(1, 2)
    assert scene.offered(9) == []
    scene.ended(2)
    assert scene.offered(9) == [3]


def test_jobs_behind_a_limited_tool_are_not_blocked() -> None:
    scene = Scene()
    scene.limit(LimitScope.TOOL, "ocr", concurrency=1)
    scene.add(*range(1, 6), tool="ocr")
    scene.add(6, 7)

    assert scene.offered(9) == [1, 6, 7]


def test_a_limit_of_the_platform_counts_the_jobs_of_every_tenant() -> None:
    scene = Scene()
    scope = Scope(PLATFORM_TENANT, LimitScope.TOOL, "ocr")
    scene.queues.set_limit(scope, Bound(concurrency=2))
    scene.add(1, 2, tool="ocr")
    scene.add(3, 4, tool="ocr", tenant="globex")
    scene.add(5, tenant="initech")

    assert scene.offered(9) == [1, 3, 5], "one of each tenant, and what has another tool"
    scene.claimed(1, 3)
    scene.ended(3)
    assert scene.offered(9) == [2]


def test_a_rate_of_the_platform_is_shared_by_all_tenants() -> None:
    scene = Scene()
    scope = Scope(PLATFORM_TENANT, LimitScope.TOOL, "ocr")
    scene.queues.set_limit(scope, Bound(rate=2, per_seconds=10.0))
    scene.add(1, 2, tool="ocr")
    scene.add(3, 4, tool="ocr", tenant="globex")

    assert scene.offered(9) == [1, 3]
    scene.now += 5
    assert len(scene.offered(9)) == 1


def test_a_limit_counts_what_ran_before_it_was_set() -> None:
    scene = Scene(1, 2, 3)
    scene.offered(2)
    scene.claimed(1)

    scene.limit(LimitScope.TENANT, concurrency=2)

    assert scene.offered(9) == []
    scene.ended(1)
    assert scene.offered(9) == [3]


def test_a_limit_of_each_key_counts_each_key_by_itself() -> None:
    scene = Scene()
    scene.limit(LimitScope.KEY, concurrency=1)
    scene.add(1, 2, limit_key="a")
    scene.add(3, 4, limit_key="b")
    scene.add(5, 6)

    assert scene.offered(9) == [1, 3, 5, 6]


def test_a_limit_of_one_key_goes_before_that_of_each() -> None:
    scene = Scene()
    scene.limit(LimitScope.KEY, concurrency=1)
    scene.limit(LimitScope.KEY, "a", concurrency=2)
    scene.add(1, 2, 3, limit_key="a")
    scene.add(4, 5, limit_key="b")

    assert scene.offered(9) == [1, 2, 4]


def test_removing_a_limit_lets_everything_go() -> None:
    scene = Scene(1, 2, 3)
    scene.limit(LimitScope.TENANT, concurrency=1)
    scene.offered(9)

    scene.queues.set_limit(Scope("acme", LimitScope.TENANT, ""), None)

    assert scene.offered(9) == [2, 3]


def test_a_rate_lets_so_many_go_in_its_time() -> None:
    scene = Scene(*range(1, 9))
    scene.limit(LimitScope.TENANT, rate=2, per_seconds=10.0)

    assert scene.offered(9) == [1, 2]
    scene.now += 4
    assert scene.offered(9) == []
    assert scene.queues.next_in(scene.now) == 1
    scene.now += 1
    assert scene.offered(9) == [3]
    scene.now += 60
    assert scene.offered(9) == [4, 5], "what was not used is not saved up"


def test_a_lost_offer_still_counts() -> None:
    scene = Scene(1, 2)
    scene.limit(LimitScope.TENANT, concurrency=1)
    scene.offered(1)
    queue = scene.queues.named("default")

    scene.queues.take_back(queue, queue.offered[UUID(int=1)])

    scene.add(3, priority=9)

    assert scene.depth == 3
    assert scene.offered(9) == [1], "a worker may still claim it under the old offer"


def test_a_lost_offer_counts_though_its_job_gets_another_priority() -> None:
    scene = Scene(1, 2)
    scene.limit(LimitScope.TENANT, concurrency=1)
    scene.offered(1)
    queue = scene.queues.named("default")
    scene.queues.take_back(queue, queue.offered[UUID(int=1)])

    scene.queues.reprioritised(UUID(int=1), KEY, runnable(1), -5)

    assert scene.depth == 2
    assert scene.offered(9) == [1], "it counts, so nothing else may go"


def test_lanes_of_other_queues_get_what_one_gives_back() -> None:
    scene = Scene(1)
    scene.limit(LimitScope.TENANT, concurrency=1)
    scene.add(2, queue="other")
    scene.offered(9)
    assert scene.offered(9, "other") == []
    scene.claimed(1)

    scene.ended(1)

    assert scene.offered(9, "other") == [2]


def test_a_new_dispatcher_lets_no_limited_job_go_while_old_offers_may_be_claimed() -> None:
    scene = Scene()
    scene.queues = Queues(Rules(), sure_at=scene.now + CLAIM_SECONDS)
    scene.limit(LimitScope.TOOL, "no-op", concurrency=2)
    scene.add(1, 2, 3)
    scene.add(4, tool="free")
    assert scene.offered(9) == [4]
    assert scene.queues.next_in(scene.now) == CLAIM_SECONDS
    scene.claimed(1)

    scene.now += CLAIM_SECONDS

    assert scene.offered(9) == [2], "1 was claimed under an old offer"


# -- pauses -----------------------------------------------------------------------------


def test_a_paused_queue_lets_nothing_of_its_tenant_go() -> None:
    scene = Scene(1, 2)
    scene.add(3, tenant="globex")
    scene.queues.set_paused("acme", "default", True)

    assert scene.offered(9) == [3]
    scene.queues.set_paused("acme", "default", False)
    assert scene.offered(9) == [1, 2]


def test_a_pause_names_what_is_to_be_taken_back() -> None:
    scene = Scene(1, 2)
    scene.add(3, tenant="globex")
    scene.offered(9)
    queue = scene.queues.named("default")

    scene.queues.set_paused("acme", "default", True)

    assert [job.place for job in scene.queues.to_withdraw(queue)] == [1, 2]


def test_what_was_taken_back_counts_until_nobody_can_claim_it() -> None:
    scene = Scene(1)
    scene.limit(LimitScope.TENANT, concurrency=1)
    scene.offered(9)
    queue = scene.queues.named("default")
    scene.queues.set_paused("acme", "default", True)
    scene.queues.withdraw(queue, queue.offered[UUID(int=1)], scene.now)
    scene.add(2, queue="other")

    scene.queues.release_doubtful(scene.now)
    assert scene.offered(9, "other") == []
    scene.now += CLAIM_SECONDS
    scene.queues.release_doubtful(scene.now)

    assert scene.offered(9, "other") == [2]
