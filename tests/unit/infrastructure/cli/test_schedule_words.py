"""What the command line says of a schedule's latest time."""

from infrastructure.cli.schedules import last_tick


def test_a_time_without_a_job_is_told_with_its_reason() -> None:
    skip = {"tick": "2026-11-25T22:10:00Z", "reason": "TOOL_NOT_FOUND"}

    assert last_tick(skip) == "2026-11-25 22:10:00 made no job: TOOL_NOT_FOUND"
    assert last_tick(skip | {"tick": None}) == "made no job: TOOL_NOT_FOUND"
    assert last_tick(None) is None
