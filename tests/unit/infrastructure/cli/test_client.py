"""What the command line's client does when a platform answers late, badly, or not at all.

A small real HTTP server stands for a platform in trouble; how the client and a healthy platform get
on is an acceptance test.
"""

import io
import json
import stat
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infrastructure.cli import client as client_module
from infrastructure.cli.client import Client, DownloadBroken
from infrastructure.cli.connection import Connection, Login
from infrastructure.cli.failures import Refused, Unreachable
from infrastructure.cli.token_cache import SPARE_SECONDS, TokenCache

Answer = tuple[int, dict[str, str], bytes]
TOKEN: Answer = (200, {}, b'{"access_token": "ey", "expires_in": 1800}')
PASSWORD = "secret"
OK: Answer = (200, {}, b'{"items": []}')


def problem(status: int, code: str, **headers: str) -> Answer:
    body = json.dumps({"status": status, "code": code, "message": "No."}).encode()
    return status, {"Content-Type": "application/problem+json", **headers}, body


@dataclass
class Platform:
    """Answers what a test says, in order, the last for ever; remembers what it was asked."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def next_answer(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def platform() -> Iterator[Platform]:
    platform = Platform()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            platform.asked.append((self.command, self.path, dict(self.headers), body))
            is_login = self.path.endswith("/auth/token")
            status, headers, content = TOKEN if is_login else platform.next_answer()
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(content))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        platform.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield platform
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def client(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(client_module, "PAUSE_SECONDS", 0.001)
    with client_of(platform) as client:
        yield client


def client_of(platform: Platform, password: str = PASSWORD) -> Client:
    return Client(Connection(platform.url, platform.url, Login("ada", password)))


def paths(platform: Platform) -> list[str]:
    return [path.partition("?")[0].removeprefix("/api/v1") for _, path, _, _ in platform.asked]


def test_it_logs_in_once_and_says_who_asks(platform: Platform, client: Client) -> None:
    platform.answers = [OK]

    client.query("/jobs", limit=2, cursor=None)
    client.query("/tools")

    assert paths(platform) == ["/auth/token", "/jobs", "/tools"]
    assert platform.asked[0][3] == b"username=ada&password=secret"
    assert platform.asked[1][1] == "/api/v1/jobs?limit=2"
    assert platform.asked[1][2]["Authorization"] == "Bearer ey"


def test_the_next_command_uses_the_token_of_the_last(platform: Platform, cache: Path) -> None:
    platform.answers = [OK]

    for _ in range(3):
        with client_of(platform) as client:
            client.query("/jobs")

    assert paths(platform).count("/auth/token") == 1
    (kept,) = [path for path in cache.rglob("*") if path.is_file()]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "secret" not in kept.read_text() + kept.name


def test_another_password_finds_no_token(platform: Platform) -> None:
    platform.answers = [OK]
    for password in ("secret", "wrong"):
        with client_of(platform, password) as client:
            client.query("/jobs")

    assert paths(platform).count("/auth/token") == 2


def test_a_kept_token_that_has_run_out_is_not_used(platform: Platform) -> None:
    cache = TokenCache(platform.url, Login("ada", "secret"))

    cache.keep("old", SPARE_SECONDS)

    assert cache.read() is None


def test_without_a_cache_folder_there_is_a_login_each_time(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    platform.answers = [problem(401, "UNAUTHENTICATED"), OK]

    with client_of(platform) as client:
        client.query("/jobs")

    assert paths(platform).count("/auth/token") == 2


@pytest.mark.parametrize("status", [502, 503, 504, 429])
def test_a_platform_that_is_away_for_a_moment_is_asked_again(
    platform: Platform, client: Client, status: int
) -> None:
    platform.answers = [problem(status, "AWAY"), problem(status, "AWAY"), OK]

    assert client.query("/jobs") == {"items": []}


def test_it_gives_up_in_the_end(platform: Platform, client: Client) -> None:
    platform.answers = [problem(503, "PROJECTION_BEHIND")]

    with pytest.raises(Refused) as refused:
        client.query("/jobs")

    assert refused.value.code == "PROJECTION_BEHIND"
    assert paths(platform).count("/jobs") == client_module.TRIES_MAX


def test_a_wait_that_is_too_long_is_not_waited_for(platform: Platform, client: Client) -> None:
    platform.answers = [problem(429, "RATE_LIMITED", **{"Retry-After": "60"}), OK]

    with pytest.raises(Refused):
        client.query("/jobs")


def test_a_refusal_is_final(platform: Platform, client: Client) -> None:
    platform.answers = [problem(404, "JOB_NOT_FOUND"), OK]

    with pytest.raises(Refused, match="No"):
        client.query("/jobs/1")


def test_a_token_that_ran_out_is_renewed(platform: Platform, client: Client) -> None:
    platform.answers = [problem(401, "UNAUTHENTICATED"), OK]

    assert client.query("/jobs") == {"items": []}
    assert paths(platform) == ["/auth/token", "/jobs", "/auth/token", "/jobs"]


def test_a_submission_is_one_however_often_it_is_sent(
    platform: Platform, client: Client, tmp_path: Path
) -> None:
    platform.answers = [problem(503, "SERVICE_UNAVAILABLE"), (202, {}, b'{"job_id": "1"}')]
    file = tmp_path / "a.txt"
    file.write_bytes(b"content")

    assert client.process("checksum", [file], {"quality": 1}) == {"job_id": "1"}

    first, second = platform.asked[1:]
    assert first[2]["Idempotency-Key"] == second[2]["Idempotency-Key"]
    assert b"content" in first[3]
    assert b"content" in second[3]
    assert b'{"quality": 1}' in first[3]


def test_an_address_without_a_platform_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAUSE_SECONDS", 0.001)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        url = f"http://127.0.0.1:{server.server_port}"

    client = Client(Connection(url, url, Login(token="ey")))
    with client, pytest.raises(Unreachable, match=url):
        client.query("/jobs")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b""])
def test_something_that_is_no_platform_is_told_apart(
    platform: Platform, client: Client, body: bytes
) -> None:
    platform.answers = [(200, {}, body)]

    with pytest.raises(Unreachable, match="is not an API"):
        client.query("/jobs")


def test_a_refusal_that_is_no_problem_still_has_its_status(
    platform: Platform, client: Client
) -> None:
    platform.answers = [(418, {}, b"teapot")]

    with pytest.raises(Refused, match="418"):
        client.query("/jobs")


def output_of(platform: Platform, content: bytes) -> dict[str, str]:
    return {"name": "a", "url": f"{platform.url}/a", "sha256": sha256(content).hexdigest()}


def test_a_download_is_whole(platform: Platform, client: Client, tmp_path: Path) -> None:
    platform.answers = [(200, {}, b"content")]

    client.download(output_of(platform, b"content"), tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == b"content"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, {}, b"damaged"), DownloadBroken),
        ((200, {"Content-Length": "100"}, b"cut short"), Unreachable),
        (problem(410, "RESULT_EXPIRED"), Refused),
    ],
)
def test_a_download_that_fails_leaves_nothing(
    platform: Platform,
    client: Client,
    tmp_path: Path,
    answer: Answer,
    error: type[Exception],
) -> None:
    platform.answers = [answer]

    with pytest.raises(error):
        client.download(output_of(platform, b"content"), tmp_path / "a")

    assert list(tmp_path.iterdir()) == []


def zip_of(*contents: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}", content)
    return sink.getvalue()


def test_an_archive_of_all_outputs_holds_each_of_them(
    platform: Platform, client: Client, tmp_path: Path
) -> None:
    platform.answers = [(200, {}, zip_of(b"one", b"two"))]
    outputs = [output_of(platform, content) for content in (b"one", b"two")]

    client.download_zip(f"{platform.url}/z", outputs, tmp_path / "z")

    assert (tmp_path / "z").read_bytes() == zip_of(b"one", b"two")


@pytest.mark.parametrize(
    "body",
    [
        zip_of(b"one"),
        zip_of(b"two", b"one"),
        zip_of(b"one", b"two")[:-30],
        zip_of(b"one", b"two").replace(b"one", b"eno"),
    ],
    ids=["one is missing", "in another order", "cut short", "damaged"],
)
def test_an_archive_that_is_not_whole_is_not_kept(
    platform: Platform, client: Client, tmp_path: Path, body: bytes
) -> None:
    platform.answers = [(200, {}, body)]
    outputs = [output_of(platform, content) for content in (b"one", b"two")]

    with pytest.raises(DownloadBroken):
        client.download_zip(f"{platform.url}/z", outputs, tmp_path / "z")

    assert list(tmp_path.iterdir()) == []
