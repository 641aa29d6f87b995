"""Bodies that are not what they claim to be: a clear refusal, and nothing left behind."""

import httpx
import pytest

from tests.integration.infrastructure.http.upload_house import House, assert_problem, until_empty


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ('{"file_data": "###"}', 422, "INVALID_BASE64"),
        ('{"file_data": "AAA"}', 422, "INVALID_BASE64"),
        ('{"file_data": "AA==AA=="}', 422, "INVALID_BASE64"),
        ('{"file_data": "AAAA\\u0041"}', 422, "INVALID_BASE64"),
        ('{"file_data": ""}', 422, "EMPTY_FILE"),
        ('{"file_data": null}', 422, "MISSING_FILE"),
        ('{"filename": "file_data"}', 422, "MISSING_FILE"),
        ('{"options": {"file_data": "AAAA"}}', 422, "MISSING_FILE"),
        ('{"file_data": "AAAA", "file_data": "AAAA"}', 400, "BAD_JSON"),
        ('{"file_data": "AAAA"', 400, "BAD_JSON"),
        ('{"file_data": "AAAA', 400, "BAD_JSON"),
        ('{"file_data" "AAAA"}', 400, "BAD_JSON"),
        ("[1, 2]", 400, "BAD_JSON"),
        ("", 400, "BAD_JSON"),
        ('{"options": "' + "x" * 70_000 + '"}', 400, "BAD_JSON"),
    ],
)
async def test_bad_base64_requests_are_refused(
    house: House, upload_client: httpx.AsyncClient, body: str, status: int, code: str
) -> None:
    assert_problem(await upload_client.post("/json", content=body), status, code)
    assert house.files() == []


FILE_PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n'
END = b"--b--\r\n"


def field(name: str, value: bytes = b"1") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
    return head + value + b"\r\n"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "BAD_MULTIPART"),
        (b"no boundary at all", 400, "BAD_MULTIPART"),
        (FILE_PART, 400, "BAD_MULTIPART"),
        (FILE_PART * 4 + END, 400, "BAD_MULTIPART"),
        (FILE_PART + field("a") + field("a") + END, 400, "DUPLICATE_FIELD"),
        (b"".join(field(f"f{n}") for n in range(21)) + END, 400, "BAD_MULTIPART"),
        (FILE_PART + field("a", b"x" * 65_537) + END, 400, "BAD_MULTIPART"),
        (FILE_PART + field("a", b"\xff") + END, 400, "BAD_MULTIPART"),
        (FILE_PART + field("n" * 201) + END, 400, "BAD_MULTIPART"),
        (FILE_PART.replace(b"a", b"a" * 20_000) + END, 400, "BAD_MULTIPART"),
        (FILE_PART + b"--b\r\nX: y\r\n\r\nx\r\n" + END, 400, "BAD_MULTIPART"),
        (FILE_PART + b"--b\r\n" + b"X: y\r\n" * 9 + b"\r\nx\r\n" + END, 400, "BAD_MULTIPART"),
        (field("options") + END, 422, "MISSING_FILE"),
        (END, 422, "MISSING_FILE"),
        (FILE_PART + FILE_PART.replace(b"\r\n\r\nx", b"\r\n\r\n") + END, 422, "EMPTY_FILE"),
    ],
    ids=range(15),
)
async def test_bad_multipart_requests_are_refused(
    house: House, upload_client: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}

    reply = await upload_client.post("/multipart", content=body, headers=headers)

    assert_problem(reply, status, code)
    await until_empty(house)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "text/plain", "", "a;b;c="])
async def test_a_body_without_a_boundary_is_refused(
    upload_client: httpx.AsyncClient, content_type: str
) -> None:
    headers = {"content-type": content_type} if content_type else {}

    assert_problem(
        await upload_client.post("/multipart", content=b"x", headers=headers), 400, "BAD_MULTIPART"
    )
