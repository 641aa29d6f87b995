"""Talks to both APIs for the command line: logs in, asks again where that is safe, reads problems.

Reads are asked again when the platform is away or behind; a submission is, too, because it carries
an idempotency key: the second try gets the answer of the first.
"""

import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Self, TypeVar
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx

from infrastructure.cli.connection import Connection, find_connection
from infrastructure.cli.failures import CommandFailed, Refused, Unreachable
from infrastructure.cli.token_cache import TokenCache

PREFIX: Final = "/api/v1"
TRIES_MAX: Final = 4
PAUSE_SECONDS: Final = 0.5
PAUSE_SECONDS_MAX: Final = 5.0
CONNECT_SECONDS_MAX: Final = 5.0
# Above what the APIs wait for: a long poll lasts up to 30 s, an upload may stall for 20 s.
ANSWER_SECONDS_MAX: Final = 60.0
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
LATER: Final = frozenset({429, 502, 503, 504})
UNAUTHENTICATED: Final = 401
PAGE_SIZE_MAX: Final = 200
BLOCK_BYTES: Final = 1024 * 1024
JSON_TYPE: Final = "application/json"
TEXT_TYPE: Final = "text/plain"
ANY_TYPE: Final = "application/octet-stream"
Part = tuple[str, tuple[str | None, BinaryIO | str, str]]

T = TypeVar("T")
Headers = dict[str, str]


class DownloadBroken(CommandFailed):
    """What arrived is not what the platform has."""

    exit_code = Unreachable.exit_code


class Client:
    """Both APIs of one platform, as one user; a context manager."""

    def __init__(self, connection: Connection) -> None:
        self._login = connection.login
        self._commands = f"{connection.command_url}{PREFIX}"
        self._queries = f"{connection.query_url}{PREFIX}"
        self._token = connection.login.token
        self._cache: TokenCache | None = None
        if not self._token:
            self._cache = TokenCache(connection.command_url, connection.login)
        self._http = httpx.Client(
            timeout=httpx.Timeout(ANSWER_SECONDS_MAX, connect=CONNECT_SECONDS_MAX),
            # No proxy stands between this machine and itself.
            trust_env=urlsplit(connection.command_url).hostname not in LOOPBACK,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def query(self, path: str, **parameters: Any) -> dict[str, Any]:
        """What the query API answers; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        url = f"{self._queries}{path}"
        return self._asked(
            lambda headers: _object(self._http.get(url, params=given, headers=headers))
        )

    def pages(self, path: str, limit: int, **filters: Any) -> list[dict[str, Any]]:
        """The first entries of a list of the query API, at most so many, page by page."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while len(found) < limit:
            size = min(limit - len(found), PAGE_SIZE_MAX)
            page = self.query(path, **filters, limit=size, cursor=cursor)
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found

    def command(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Give a command; one with a body becomes one, however often it has to be tried."""
        url = f"{self._commands}{path}"
        key = {"Idempotency-Key": str(uuid4())} if body is not None else {}
        return self._asked(
            lambda headers: _object(self._http.post(url, json=body, headers=headers | key))
        )

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give a command that makes something; however often it has to be tried, it makes one."""
        key = {"Idempotency-Key": str(uuid4())}
        url = f"{self._commands}{path}"
        return self._asked(
            lambda headers: _object(self._http.post(url, json=dict(body), headers=headers | key))
        )

    def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Let something be so; asking again changes nothing more."""
        url = f"{self._commands}{path}"
        return self._asked(
            lambda headers: _object(self._http.put(url, json=dict(body), headers=headers))
        )

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Let a part of something be different; asking again changes nothing more."""
        url = f"{self._commands}{path}"
        return self._asked(
            lambda headers: _object(self._http.patch(url, json=dict(body), headers=headers))
        )

    def delete(self, path: str) -> dict[str, Any]:
        """End something."""
        url = f"{self._commands}{path}"
        return self._asked(lambda headers: _object(self._http.delete(url, headers=headers)))

    def process(
        self, tool: str, files: Sequence[Path], options: Mapping[str, Any], *, reuse: bool = True
    ) -> dict[str, Any]:
        """Send files, or none, to a tool; however often it has to be tried, they become one job.

        `reuse` says whether an earlier result of the same request will do.
        """
        key = {"Idempotency-Key": str(uuid4())}
        url = f"{self._commands}/tools/{segment(tool)}/process"

        def send(headers: Headers) -> dict[str, Any]:
            with _opened(files, options, reuse) as parts:
                return _object(self._http.post(url, files=parts, headers=headers | key))

        return self._asked(send)

    def upload(self, path: Path) -> str:
        """Send a file that is to be used later; the id by which a command names it."""
        url = f"{self._commands}/uploads"

        def send(headers: Headers) -> dict[str, Any]:
            with path.open("rb") as file:
                parts = {"file": (path.name, file, ANY_TYPE)}
                return _object(self._http.post(url, files=parts, headers=headers))

        return str(self._asked(send)["upload_id"])

    def download(self, output: Mapping[str, Any], path: Path) -> None:
        """Write an output to a file, which then is whole; raises DownloadBroken."""
        with _becoming(path) as part:
            digest = self._asked(lambda headers: self._written(output["url"], part, headers))
            if digest != output["sha256"]:
                raise DownloadBroken(f"{output['name']} arrived damaged; try again")

    def download_zip(self, url: str, outputs: Sequence[Mapping[str, Any]], path: Path) -> None:
        """Write all outputs to one archive, which then holds each of them whole; raises
        DownloadBroken.
        """
        with _becoming(path) as part:
            self._asked(lambda headers: self._written(url, part, headers))
            if _digests(part) != [output["sha256"] for output in outputs]:
                raise DownloadBroken(f"{path.name} arrived damaged; try again")

    def _asked(self, ask: Callable[[Headers], T]) -> T:
        """Ask as the user; log in again where the token does not count any more."""
        if not self._token and self._cache is not None:
            self._token = self._cache.read() or self._new_token(self._cache)
        try:
            return _again(lambda: ask(self._headers))
        except Refused as refused:
            if refused.status != UNAUTHENTICATED or self._cache is None:
                raise
            self._cache.forget()
            self._token = self._new_token(self._cache)
        return _again(lambda: ask(self._headers))

    @property
    def _headers(self) -> Headers:
        return {"Authorization": f"Bearer {self._token}"}

    def _new_token(self, cache: TokenCache) -> str:
        url = f"{self._commands}/auth/token"
        form = {"username": self._login.username, "password": self._login.password}
        granted = _again(lambda: _object(self._http.post(url, data=form)))
        token = str(granted["access_token"])
        cache.keep(token, float(granted["expires_in"]))
        return token

    def _written(self, url: str, part: Path, headers: Headers) -> str:
        """The digest of what was written."""
        digest = hashlib.sha256()
        with self._http.stream("GET", url, headers=headers) as answer:
            if answer.is_error:
                answer.read()
            _raise_problem(answer)
            with part.open("wb") as file:
                for block in answer.iter_bytes(BLOCK_BYTES):
                    digest.update(block)
                    file.write(block)
        return digest.hexdigest()


@contextmanager
def _becoming(path: Path) -> Iterator[Path]:
    """A file beside this one that takes its place, unless something is raised."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _digests(archive: Path) -> list[str] | None:
    """Those of the files in an archive, in their order; None if it is damaged."""
    digests = []
    try:
        with zipfile.ZipFile(archive) as files:
            for entry in files.infolist():
                digest = hashlib.sha256()
                with files.open(entry) as file:
                    while block := file.read(BLOCK_BYTES):
                        digest.update(block)
                digests.append(digest.hexdigest())
    except (zipfile.BadZipFile, EOFError):
        return None
    return digests


def segment(text: str) -> str:
    """Text as one segment of a path, whatever it holds."""
    return quote(text, safe="")


def open_client(data_dir: Path | None) -> Client:
    """A client of the platform that the folder or the environment names."""
    return Client(find_connection(data_dir))


def _again(ask: Callable[[], T]) -> T:
    """Ask until the platform can answer, up to TRIES_MAX times; raises Unreachable or Refused."""
    for tries in range(1, TRIES_MAX):
        try:
            return ask()
        except httpx.TransportError:
            pause = PAUSE_SECONDS * tries
        except Refused as refused:
            pause = refused.retry_after_seconds or PAUSE_SECONDS * tries
            if refused.status not in LATER or pause > PAUSE_SECONDS_MAX:
                raise
        time.sleep(pause)
    try:
        return ask()
    except httpx.TransportError as error:
        url = error.request.url
        raise Unreachable(f"{url.scheme}://{url.netloc.decode()} does not answer") from None


def _object(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object that an API answered; raises Refused."""
    _raise_problem(answer)
    value = _parsed(answer)
    if value is None:
        raise Unreachable(f"{answer.url.copy_with(query=None)} is not an API of this platform")
    return value


def _raise_problem(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    wait = answer.headers.get("Retry-After", "")
    raise Refused(
        answer.status_code, _parsed(answer) or {}, float(wait) if wait.isdigit() else None
    )


def _parsed(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        value = answer.json()
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


@contextmanager
def _opened(files: Sequence[Path], options: Mapping[str, Any], reuse: bool) -> Iterator[list[Part]]:
    """The options and the files as parts of a form; files are read while they are sent."""
    with ExitStack() as stack:
        # The options as a part like any other, so that it is a form without a file, too.
        yield [
            ("options", (None, json.dumps(options), JSON_TYPE)),
            *([] if reuse else [("cache", (None, "false", TEXT_TYPE))]),
            *(
                ("file", (path.name, stack.enter_context(path.open("rb")), ANY_TYPE))
                for path in files
            ),
        ]
