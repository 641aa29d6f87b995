"""What a client does wrong, or finds broken: a clear problem, a code, and nothing left behind."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.acceptance.yard import Yard
from tests.factories.files import photo_jpeg, png_header, simple_pdf, truncated
from tests.fixtures.deadlines import wait_until
from tests.fixtures.platform import Platform

LIMIT = 52_428_800
SECONDS = 30.0
MEMBERS = {"type", "title", "status", "code", "message", "details", "request_id"}


@pytest.fixture(scope="module")
def yard(platform: Platform) -> Yard:
    return Yard(platform)


@pytest.fixture
def client(yard: Yard) -> Iterator[httpx.Client]:
    with yard.client() as made:
        yield made


def process(client: httpx.Client, yard: Yard, tool: str, **parts: Any) -> httpx.Response:
    url = f"{yard.platform.command_url}/api/v1/tools/{tool}/process"
    return client.post(url, headers={"Prefer": "wait=20"}, **parts)


def is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = dict(answer.json())
    assert set(body) >= MEMBERS
    assert (body["status"], body["code"]) == (status, code)
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return body


def accepted(yard: Yard) -> int:
    """How many jobs and uploads the log has ever taken."""
    [row] = yard.query(
        "SELECT count(*) AS taken FROM event_store.stored_events "
        "WHERE topic IN ('magictoolbox.job.submitted', 'magictoolbox.upload.received')"
    )
    return int(row["taken"])


def orphans(yard: Yard) -> set[Path]:
    """The blobs that no event names: those of a refused request, or of one still under way."""
    rows = yard.query("SELECT convert_from(state, 'UTF8') AS state FROM event_store.stored_events")
    named = "".join(row["state"] for row in rows)
    blobs = (yard.platform.data_dir / "blobs").rglob("*")
    return {path for path in blobs if path.is_file() and path.name not in named}


@pytest.fixture
def nothing_is_left(yard: Yard) -> Iterator[None]:
    taken, before = accepted(yard), orphans(yard)
    yield
    assert accepted(yard) == taken
    # A client cannot see when the server has cleaned up after it.
    wait_until(lambda: orphans(yard) <= before, "a blob is left that no event names")


@pytest.mark.usefixtures("nothing_is_left")
class TestRefusedAtTheDoor:
    """Nothing of these requests may be found afterwards."""

    def test_a_wrong_password(self, yard: Yard) -> None:
        answer = httpx.post(
            f"{yard.platform.command_url}/api/v1/auth/token",
            data={"username": "admin", "password": "not-the-password"},
            trust_env=False,
            timeout=SECONDS,
        )

        is_problem(answer, 401, "BAD_CREDENTIALS")

    @pytest.mark.parametrize("api", ["command", "query"])
    def test_a_forged_or_expired_token(self, yard: Yard, api: str) -> None:
        good = yard.headers()["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(good, options={"verify_signature": False})
        secret = yard.platform.secret("secret_key")
        forged = {
            "forged": jwt.encode(claims, "x" * 43, "HS256"),
            "unsigned": jwt.encode(claims, None, "none"),
            "expired": jwt.encode(claims | {"exp": int(time.time()) - 60}, secret, "HS256"),
            "cut": good[:-4],
            "nonsense": "x",
        }
        url = f"{yard.platform.query_url}/api/v1/jobs"
        if api == "command":
            url = f"{yard.platform.command_url}/api/v1/jobs"

        for token in forged.values():
            headers = {"Authorization": f"Bearer {token}"}
            send: Callable[..., httpx.Response] = httpx.post if api == "command" else httpx.get
            answer = send(url, headers=headers, trust_env=False, timeout=SECONDS)
            assert answer.status_code == 401, answer.text
            assert answer.headers["www-authenticate"].startswith("Bearer")

    def test_an_unknown_tool(self, client: httpx.Client, yard: Yard) -> None:
        answer = process(client, yard, "alchemy", files={"file": ("a.jpg", photo_jpeg(32, 32))})

        is_problem(answer, 404, "TOOL_NOT_FOUND")

    @pytest.mark.parametrize(
        ("options", "field"),
        [({"quality": 500}, "quality"), ({"colour": "red"}, "colour"), ({"output_format": 7}, "")],
    )
    def test_a_bad_option_with_its_name(
        self, client: httpx.Client, yard: Yard, options: dict[str, Any], field: str
    ) -> None:
        answer = process(
            client,
            yard,
            "image-converter",
            files={"file": ("a.jpg", photo_jpeg(32, 32))},
            data={"options": json.dumps(options)},
        )

        problem = is_problem(answer, 422, "INVALID_OPTIONS")
        assert (field or "output_format") in json.dumps(problem["details"])

    def test_an_empty_file(self, client: httpx.Client, yard: Yard) -> None:
        answer = process(client, yard, "image-converter", files={"file": ("a.jpg", b"")})

        is_problem(answer, 422, "EMPTY_FILE")

    def test_no_file_at_all(self, client: httpx.Client, yard: Yard) -> None:
        answer = process(client, yard, "image-converter", data={"options": "{}"}, files={})

        assert answer.status_code in {400, 415, 422}
        assert answer.json()["code"]

    def test_a_file_over_the_limit(self, client: httpx.Client, yard: Yard) -> None:
        answer = process(client, yard, "checksum", files={"file": ("big.bin", b"\0" * (LIMIT + 1))})

        is_problem(answer, 413, "FILE_TOO_LARGE")

    def test_a_file_over_the_limit_in_chunks_without_a_length(
        self, client: httpx.Client, yard: Yard
    ) -> None:
        head = b'--b\r\ncontent-disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'

        def body() -> Iterator[bytes]:
            yield head
            for _ in range(60):
                yield b"\0" * 2**20
            yield b"\r\n--b--\r\n"

        answer = client.post(
            f"{yard.platform.command_url}/api/v1/tools/checksum/process",
            content=body(),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )

        is_problem(answer, 413, "FILE_TOO_LARGE")

    def test_a_text_called_jpg(self, client: httpx.Client, yard: Yard) -> None:
        answer = process(
            client, yard, "image-converter", files={"file": ("photo.jpg", b"hello world\n" * 50)}
        )

        is_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")

    def test_json_that_is_none_and_base64_that_is_none(
        self, client: httpx.Client, yard: Yard
    ) -> None:
        url = f"{yard.platform.command_url}/api/v1/tools/image-converter/process"

        for content in (b"{", b'{"file_data": "%%%"}', b'{"other": 1}', b"[]"):
            answer = client.post(url, content=content, headers={"Content-Type": "application/json"})
            assert 400 <= answer.status_code < 500, answer.text
            assert answer.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize("api", ["command", "query"])
    def test_no_such_route_and_no_such_method(
        self, client: httpx.Client, yard: Yard, api: str
    ) -> None:
        base = yard.platform.command_url if api == "command" else yard.platform.query_url

        is_problem(client.get(f"{base}/api/v1/nothing-here"), 404, "NOT_FOUND")
        is_problem(client.request("PROPFIND", f"{base}/api/v1/jobs"), 405, "METHOD_NOT_ALLOWED")

    def test_a_job_that_nobody_has(self, client: httpx.Client, yard: Yard) -> None:
        nobodys = "01a20766-3488-7559-a501-93ab8b57f533"

        answer = client.get(f"{yard.platform.query_url}/api/v1/jobs/{nobodys}")
        cancelled = client.post(f"{yard.platform.command_url}/api/v1/jobs/{nobodys}/cancel")

        is_problem(answer, 404, "JOB_NOT_FOUND")
        is_problem(cancelled, 404, "JOB_NOT_FOUND")


class TestFoundByTheTool:
    """The tool parses; what it finds wrong is told with `Prefer: wait` as it is in the history."""

    def test_a_truncated_jpeg(self, client: httpx.Client, yard: Yard) -> None:
        half = truncated(photo_jpeg(400, 300))

        answer = process(client, yard, "image-converter", files={"file": ("a.jpg", half)})

        is_problem(answer, 422, "CORRUPT_FILE")

    def test_a_png_that_claims_to_be_enormous(self, client: httpx.Client, yard: Yard) -> None:
        answer = process(
            client, yard, "image-converter", files={"file": ("a.png", png_header(100_000, 100_000))}
        )

        is_problem(answer, 422, "DIMENSIONS_TOO_LARGE")

    def test_a_pdf_with_a_password(self, client: httpx.Client, yard: Yard) -> None:
        locked = simple_pdf("secret", password="open sesame")

        answer = process(client, yard, "pdf-to-text", files={"file": ("a.pdf", locked)})

        is_problem(answer, 422, "PASSWORD_REQUIRED")

    def test_the_failure_is_shown_by_the_query_api_too(
        self, client: httpx.Client, yard: Yard
    ) -> None:
        url = f"{yard.platform.command_url}/api/v1/tools/image-converter/process"
        half = photo_jpeg(400, 300)[:2000]

        job_id = client.post(url, files={"file": ("a.jpg", half)}).json()["job_id"]

        job = yard.wait_for(job_id)
        assert job["status"] == "failed"
        assert job["error"]["code"] == "CORRUPT_FILE"
        assert job["error"]["message"]


def test_the_same_key_with_another_body(yard: Yard) -> None:
    first = yard.try_submit({"seconds": 0}, key="bad-input-1")
    again = yard.try_submit({"seconds": 0}, key="bad-input-1")
    other = yard.try_submit({"seconds": 0.5}, key="bad-input-1")

    assert again.json()["job_id"] == first.json()["job_id"]
    assert again.json()["position"] == first.json()["position"]
    is_problem(other, 422, "IDEMPOTENCY_CONFLICT")


def test_somebody_elses_job_is_not_found(client: httpx.Client, yard: Yard) -> None:
    job_id = yard.submit()
    yard.wait_for(job_id)
    created = client.post(
        f"{yard.platform.command_url}/api/v1/users",
        json={"username": "stranger", "password": "a-strangers-password", "role": "client"},
    )
    assert created.status_code == 201, created.text
    token = yard.platform.login("stranger", "a-strangers-password")
    headers = {"Authorization": f"Bearer {token}"}

    seen = httpx.get(
        f"{yard.platform.query_url}/api/v1/jobs/{job_id}",
        headers=headers,
        trust_env=False,
        timeout=SECONDS,
    )
    cancelled = httpx.post(
        f"{yard.platform.command_url}/api/v1/jobs/{job_id}/cancel",
        headers=headers,
        trust_env=False,
        timeout=SECONDS,
    )

    is_problem(seen, 404, "JOB_NOT_FOUND")
    is_problem(cancelled, 404, "JOB_NOT_FOUND")


def test_the_base64_way_in_gives_the_same_answer(client: httpx.Client, yard: Yard) -> None:
    text = base64.b64encode(photo_jpeg(64, 48)).decode()

    answer = process(
        client, yard, "image-converter", json={"file_data": text, "filename": "photo.jpg"}
    )

    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "succeeded"
