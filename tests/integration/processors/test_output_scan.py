"""What comes out of an encryption, in the real sandbox and before a real clamd."""

import io
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from events.contracts.values import FileRef, JobStatus
from events.domain.job import Job, JobRequest
from events.store.sealing import secrets_id
from infrastructure.blobs.base import new_blob_key
from infrastructure.ids import uuid7
from infrastructure.scanner import ClamdScanner, NoScanner, Scanner
from processors.attempt import Attempt
from processors.claims import Claim
from processors.sandbox.runner import INSTALLED, Sandbox
from processors.scanning import OutputScan
from processors.slots import Place
from processors.tools.registry import installed
from tests.factories import files
from tests.factories.tools import folders_in
from tests.fixtures.clamd import MARKER, STREAM_BYTES_MAX, running_clamd
from tests.fixtures.events import origin
from tests.integration.processors.sandbox.boxes import started
from tests.unit.processors.test_attempt import Scene

pytestmark = pytest.mark.debian
pyzipper = pytest.importorskip("pyzipper")
PASSWORD = "correct horse"
ANSWERS_LOST_MAX = 4
NOBODY = ClamdScanner(path="/nonexistent/clamd.sock")


@pytest_asyncio.fixture(scope="module")
async def clamd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ClamdScanner]:
    async with running_clamd(tmp_path_factory.mktemp("clamd")) as scanner:
        yield scanner


@pytest_asyncio.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with started(INSTALLED, without=()) as box:
        yield box


def shut(content: bytes, password: str | None = PASSWORD) -> bytes:
    stream = io.BytesIO()
    encryption = pyzipper.WZ_AES if password else None
    with pyzipper.AESZipFile(stream, "w", encryption=encryption) as archive:
        archive.setpassword(password.encode() if password else None)
        archive.writestr("a.bin", content)
    return stream.getvalue()


@dataclass(frozen=True)
class Given:
    """A file for a tool, and the password that it is opened with."""

    content: bytes
    tool: str = "archive-extractor"
    media_type: str = "application/zip"
    password: str | None = PASSWORD


async def ended(scene: Scene, sandbox: Sandbox, scanner: Scanner, given: Given) -> Job:
    """The job after its first attempt."""
    job_id, tool = uuid7(), installed().get(given.tool)
    seal, key = scene.sealer.new_key(job_id, "acme", "user:1")
    own, own_key = scene.sealer.new_key(secrets_id(job_id), "acme", "user:1")
    async with await scene.blobs.write(new_blob_key("acme")) as writer:
        await writer.write(given.content)
        written = await writer.commit()
    name, size = seal.seal("name", "a.x"), len(given.content)
    secret = json.dumps({"password": given.password})
    request = JobRequest(
        owner="user:1",
        tool=given.tool,
        tool_version=tool.version,
        options=seal.seal("options", "{}"),
        secrets=own.seal("secrets", secret) if given.password else None,
        inputs=[FileRef(name, given.media_type, size, written.sha256, written.key)],
        attempts_max=2,
        timeout_seconds=tool.limits.wall_seconds,
    )
    job = Job.submit(job_id, request, origin())
    await scene.repository.save(job, keys=[key, own_key])
    assert await scene.reports.claim(job, "L0")
    equipment = replace(scene.equipment, scan=OutputScan(scanner))
    await Attempt(Claim(job, tool, Place.SANDBOX, sandbox), equipment).run()
    return await scene.loaded(job)


PDF = "application/pdf"
REFUSED = {
    "malware": ("MALWARE_DETECTED", Given(shut(b"x" * 100 + MARKER))),
    "malware in a document": (
        "MALWARE_DETECTED",
        Given(files.simple_pdf(MARKER.decode(), password=PASSWORD), "pdf-decrypter", PDF),
    ),
    "encrypted again": ("ENCRYPTED_FILE", Given(shut(shut(b"hello")))),
    "too large": (
        "SCAN_LIMITS_EXCEEDED",
        Given(shut(random.Random(1).randbytes(STREAM_BYTES_MAX + 1))),
    ),
}


@pytest.mark.parametrize("case", list(REFUSED))
async def test_what_is_not_clean_fails_the_job_and_is_not_kept(
    clamd: ClamdScanner, sandbox: Sandbox, tmp_path: Path, case: str
) -> None:
    code, given = REFUSED[case]

    for number in range(ANSWERS_LOST_MAX + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        scene = Scene(folder)
        job = await ended(scene, sandbox, clamd, given)
        # clamd closes while the rest of a long file is on its way, and what it said may be lost
        # with the connection: the attempt is made again, as with a scanner that is away.
        if job.error_code != "SCANNER_UNAVAILABLE":
            break

    assert (job.status, job.error_code) == (JobStatus.FAILED, code)
    assert [blob.key for blob in await scene.blobs.page(None, 10)] == [job.inputs[0].blob_key]
    assert folders_in(folder) == []


async def test_what_is_clean_comes_out(
    clamd: ClamdScanner, sandbox: Sandbox, tmp_path: Path
) -> None:
    job = await ended(Scene(tmp_path), sandbox, clamd, Given(shut(b"hello")))

    assert (job.status, len(job.outputs)) == (JobStatus.SUCCEEDED, 1)


async def test_a_scanner_that_is_away_is_waited_for(sandbox: Sandbox, tmp_path: Path) -> None:
    job = await ended(Scene(tmp_path), sandbox, NOBODY, Given(shut(b"hello")))

    assert (job.status, job.error_code) == (JobStatus.RETRYING, "SCANNER_UNAVAILABLE")


@pytest.mark.parametrize(
    ("scanner", "password"), [(NoScanner(), PASSWORD), (NOBODY, None)], ids=["off", "not shut"]
)
async def test_nothing_is_scanned_where_no_scanner_is_or_nothing_was_shut(
    sandbox: Sandbox, tmp_path: Path, scanner: Scanner, password: str | None
) -> None:
    given = Given(shut(MARKER, password), password=password)

    job = await ended(Scene(tmp_path), sandbox, scanner, given)

    assert job.status is JobStatus.SUCCEEDED
