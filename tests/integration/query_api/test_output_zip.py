"""All outputs of a job as one ZIP."""

import io
import zipfile
from uuid import UUID, uuid4

import httpx
import pytest

from query_api import output_zip
from query_api.output_zip import TooLarge, entries_of, fits
from tests.fixtures.query_api import AuthHeaders, World

LARGE = bytes(range(256)) * 20_000


async def test_all_outputs_come_in_one_archive(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    outputs = {"a.webp": LARGE, "A.webp": b"other", "../b.webp": b"below", "名前.webp": b"x"}
    await world.succeed(job_id, outputs)
    position = await world.project()
    headers = await auth_headers()

    answer = await query_client.get(f"/jobs/{job_id}/outputs.zip", headers=headers)

    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["X-Applied-Position"] == str(position)
    assert f"{job_id}.zip" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        found = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    assert found == {
        **{"a.webp": LARGE, "A (2).webp": b"other", "b.webp": b"below", "名前.webp": b"x"},
    }
    again = await query_client.get(f"/jobs/{job_id}/outputs.zip", headers=headers)
    assert again.content == answer.content


async def test_an_archive_that_is_known_is_not_sent_again(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.succeed(job_id, {"a.webp": b"one"})
    await world.project()
    headers = await auth_headers()
    address = f"/jobs/{job_id}/outputs.zip"
    etag = (await query_client.get(address, headers=headers)).headers["ETag"]

    known = await query_client.get(address, headers={**headers, "If-None-Match": etag})
    head = await query_client.head(address, headers=headers)

    assert (known.status_code, known.content) == (304, b"")
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", etag)


async def test_without_outputs_there_is_no_archive(
    query_client: httpx.AsyncClient, world: World, auth_headers: AuthHeaders
) -> None:
    running, failed, expired, erased, gone = [
        await world.submit(retention_seconds=0 if number == 2 else 1_000) for number in range(5)
    ]
    await world.start(running)
    await world.fail(failed, "broken")
    for job_id in (expired, erased):
        await world.succeed(job_id, {"a.webp": b"one"})
    (file,) = await world.succeed(gone, {"a.webp": b"one"})
    await world.expire_result(expired)
    await world.project()
    await world.erase(erased)
    await world.blobs.delete(file.blob_key)  # type: ignore[arg-type]
    headers = await auth_headers()

    async def told(job_id: UUID) -> tuple[int, str]:
        answer = await query_client.get(f"/jobs/{job_id}/outputs.zip", headers=headers)
        return answer.status_code, answer.json()["code"]

    for job_id in (running, failed, expired, erased):
        job = (await query_client.get(f"/jobs/{job_id}", headers=headers)).json()
        assert "outputs_zip" not in job["links"]
    assert await told(running) == (409, "RESULT_NOT_READY")
    assert await told(failed) == (404, "OUTPUT_NOT_FOUND")
    assert await told(erased) == (404, "OUTPUT_NOT_FOUND")
    assert await told(expired) == (410, "RESULT_EXPIRED")
    assert await told(gone) == (500, "OUTPUT_UNREADABLE")
    assert await told(uuid4()) == (404, "JOB_NOT_FOUND")


def test_an_archive_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    file = {"size_bytes": 6, "blob_key": "k", "sha256": "00"}
    monkeypatch.setattr(output_zip, "FILES_MAX", 2)
    monkeypatch.setattr(output_zip, "BYTES_MAX", 12)

    assert [entry.name for entry in entries_of([file, file], ["x", "x"])] == ["x", "x (2)"]
    for files in ([file] * 3, [file, {**file, "size_bytes": 7}]):
        with pytest.raises(TooLarge):
            entries_of(files, ["x"] * len(files))
        assert not fits(files)
