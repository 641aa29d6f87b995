"""The original guidelines' own test case: a JPEG to the image converter, with no options."""

import io

import httpx
import pytest
from PIL import Image

from tests.acceptance.yard import Yard
from tests.factories.files import photo_jpeg
from tests.fixtures.platform import Platform

Files = dict[str, tuple[str, bytes, str]]

PROCESS = "/api/v1/tools/image-converter/process"
ANSWER_SECONDS = 60.0


@pytest.fixture(scope="module")
def yard(platform: Platform) -> Yard:
    """A running platform, and one login for all of these tests."""
    return Yard(platform)


def process(yard: Yard, files: Files, headers: dict[str, str] | None = None) -> httpx.Response:
    """Send a photo as the guidelines' client does."""
    with yard.client(ANSWER_SECONDS) as client:
        return client.post(f"{yard.platform.command_url}{PROCESS}", files=files, headers=headers)


@pytest.fixture
def photo() -> Files:
    """A real photo as a form sends it."""
    return {"file": ("test.jpg", photo_jpeg(320, 240, orientation=6), "image/jpeg")}


def test_a_jpeg_without_options_is_accepted(yard: Yard, photo: Files) -> None:
    answer = process(yard, photo)

    assert answer.status_code == 202, answer.text
    receipt = answer.json()
    assert receipt["task_id"] == receipt["job_id"]
    assert receipt["result_url"] is None


def test_who_prefers_to_wait_gets_the_converted_picture(yard: Yard, photo: Files) -> None:
    answer = process(yard, photo, {"Prefer": "wait=30"})

    assert answer.status_code == 200, answer.text
    outcome = answer.json()
    assert outcome["status"] == "succeeded"
    with yard.client(ANSWER_SECONDS) as client:
        result = client.get(outcome["result_url"])
    assert result.status_code == 200, result.text
    with Image.open(io.BytesIO(result.content)) as picture:
        # Upright, though the camera stored it turned.
        assert (picture.format, picture.size) == ("WEBP", (320, 240))


def test_who_waits_for_what_cannot_be_converted_learns_why(yard: Yard) -> None:
    cut_short = {"file": ("test.jpg", photo_jpeg(320, 240)[:2_000], "image/jpeg")}

    answer = process(yard, cut_short, {"Prefer": "wait=30"})

    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "CORRUPT_FILE"
    assert answer.json()["details"]["job_id"]


def test_without_a_token_nothing_is_accepted(yard: Yard, photo: Files) -> None:
    with httpx.Client(trust_env=False, timeout=ANSWER_SECONDS) as client:
        answer = client.post(f"{yard.platform.command_url}{PROCESS}", files=photo)

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
