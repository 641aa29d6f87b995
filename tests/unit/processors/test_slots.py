"""How many offers a worker asks for."""

from processors.slots import Place, Slots


def arrived(slots: Slots, inline: bool) -> Place | None:
    slots.arrive()
    return slots.take(inline)


def test_a_worker_asks_for_as_many_as_it_has_sandboxes() -> None:
    slots = Slots(sandboxed_max=4, inline_max=64)

    assert slots.free == 4


def test_what_is_under_way_counts_as_taken() -> None:
    slots = Slots(4, 64)

    slots.arrive()

    assert slots.free == 3
    slots.leave()
    assert slots.free == 4


def test_a_full_worker_asks_for_nothing() -> None:
    slots = Slots(2, 64)

    assert [arrived(slots, inline=False) for _ in range(2)] == [Place.SANDBOX] * 2
    assert slots.free == 0


def test_the_more_trusted_jobs_come_the_more_it_asks_for() -> None:
    slots = Slots(2, 64)
    asked = []

    for _ in range(6):
        place = arrived(slots, inline=True)
        assert place is Place.INLINE
        slots.give_up(place)
        asked.append(slots.free)

    assert asked == [3, 4, 6, 10, 18, 34]


def test_trusted_jobs_have_a_limit_of_their_own() -> None:
    slots = Slots(2, 3)

    places = [arrived(slots, inline=True) for _ in range(4)]

    assert places == [Place.INLINE] * 3 + [None]


def test_a_sandbox_is_never_used_twice() -> None:
    slots = Slots(1, 8)

    assert arrived(slots, inline=False) is Place.SANDBOX
    assert arrived(slots, inline=False) is None


def test_a_job_without_a_sandbox_ends_the_appetite() -> None:
    slots = Slots(1, 8)
    for _ in range(5):
        slots.give_up(arrived(slots, inline=True) or Place.SANDBOX)
    arrived(slots, inline=False)
    assert slots.free == 8

    assert arrived(slots, inline=False) is None

    assert slots.free == 0


def test_trusted_jobs_do_not_take_the_place_of_sandboxed_ones() -> None:
    slots = Slots(2, 2)
    arrived(slots, inline=True)
    arrived(slots, inline=True)

    assert slots.free == 2
    assert arrived(slots, inline=False) is Place.SANDBOX
