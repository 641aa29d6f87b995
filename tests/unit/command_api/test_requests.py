"""Preferences, and JSON that the framework does not read for us."""

import pytest

from command_api.job_endings import WAIT_SECONDS_MAX
from command_api.requests import get_wait_seconds, json_object
from infrastructure.http.problems import Problem


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("wait=5", 5),
        ("WAIT = 5", 5),
        ('wait="5"', 5),
        ("respond-async, wait=7", 7),
        ("respond-async; wait=7", 7),
        ("wait=3, wait=9", 3),
        ("wait=31", WAIT_SECONDS_MAX),
        ("wait=999999", WAIT_SECONDS_MAX),
        ("wait=0", 0),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait=9999999999", 0),
        ("waiting=5", 0),
        ("handling=lenient", 0),
    ],
)
async def test_a_preference_is_read_and_one_that_is_not_understood_is_none(
    prefer: str | None, seconds: int
) -> None:
    assert await get_wait_seconds(prefer) == seconds


def test_a_json_object_is_read() -> None:
    assert json_object('{"a": [1]}', "options") == {"a": [1]}


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '"a"', '{"a": NaN}', "[" * 5_000])
def test_anything_else_is_refused_with_its_field(text: str) -> None:
    with pytest.raises(Problem) as refused:
        json_object(text, "options")

    assert refused.value.status_code == 422
    assert refused.value.details == [
        {"field": "options", "message": "This is not a JSON object.", "code": "json"}
    ]
