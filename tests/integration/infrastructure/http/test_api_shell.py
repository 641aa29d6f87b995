"""What both APIs have in common, over a real uvicorn: problems, ids, headers, framing, limits."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse
from structlog.testing import capture_logs

from infrastructure.health import Check, CheckFailed, Readiness
from infrastructure.http.app import create_api
from infrastructure.http.body_guard import BODY_BYTES_MAX, allow_body
from infrastructure.http.problems import Problem
from infrastructure.http.server import HttpServer
from infrastructure.metrics import REGISTRY
from tests.fixtures.http import served

ORIGIN = "https://dashboard.example"
SECONDS_MAX = 60.0


class Body(BaseModel):
    """A body with something of every kind."""

    name: str
    password: str = Field(min_length=8)
    options: dict[str, int] = {}


class LogAway(Exception):
    """An error of ours, known to the table."""


router = APIRouter(prefix="/things")
bearer = OAuth2PasswordBearer(tokenUrl="/token")


@router.post("/{thing_id}", status_code=202)
async def make(thing_id: int, body: Body) -> dict[str, int]:
    return {"id": thing_id}


@router.get("/{thing_id}")
async def show(thing_id: int) -> Response:
    return Response("{}", headers={"Cache-Control": "private, max-age=60"})


@router.get("/broken/bug")
async def bug() -> None:
    raise RuntimeError("canary: postgresql://u:p@host")


@router.get("/broken/half")
async def half() -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        yield b"first half"
        raise RuntimeError("canary")

    return StreamingResponse(body())


@router.get("/broken/log")
async def log_away() -> None:
    raise LogAway("canary")


@router.get("/broken/teapot")
async def teapot() -> None:
    raise HTTPException(418)


@router.get("/secret/door")
async def secret(token: Annotated[str, Depends(bearer)]) -> None:
    return None


@router.post("/body/count")
async def count(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.post("/body/big")
async def big(request: Request) -> dict[str, int]:
    allow_body(request, 3 * BODY_BYTES_MAX)
    return {"bytes": len(await request.body())}


@router.post("/body/refused")
async def refused() -> None:
    raise Problem(409, "CONFLICT", "No.")


def make_app(**options: Any) -> FastAPI:
    async def cache() -> str | None:
        raise CheckFailed("away")

    app = create_api(
        title="t",
        version="1",
        description="d",
        readiness=Readiness({"cache": Check(cache, critical=False)}),
        errors={
            LogAway: lambda _: Problem(
                503, "LOG_UNAVAILABLE", "Try again shortly.", headers={"Retry-After": "2"}
            )
        },
        allowed_origins=[ORIGIN],
        **options,
    )
    api = APIRouter(prefix="/api/v1")
    api.include_router(router)
    app.include_router(api)
    return app


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with served(make_app()) as address:
        yield address


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=SECONDS_MAX) as made:
        yield made


async def exchange(url: str, raw: bytes) -> bytes:
    """Send bytes as they are and read until the server closes."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(raw)
    async with asyncio.timeout(SECONDS_MAX):
        reply = await reader.read()
    writer.close()
    return reply


def raw_json(content: bytes) -> dict[str, Any]:
    """A request whose body only claims to be JSON."""
    return {"content": content, "headers": {"content-type": "application/json"}}


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "NOT_FOUND"),
        ("GET", "/api/v1/things", {}, 404, "NOT_FOUND"),
        ("DELETE", "/api/v1/things/1", {}, 405, "METHOD_NOT_ALLOWED"),
        ("PROPFIND", "/api/v1/things/1", {}, 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/api/v1/things/x", {}, 422, "VALIDATION_ERROR"),
        ("POST", "/api/v1/things/1", {"json": {}}, 422, "VALIDATION_ERROR"),
        ("POST", "/api/v1/things/1", {"json": [1]}, 422, "VALIDATION_ERROR"),
        ("POST", "/api/v1/things/1", raw_json(b"{"), 422, "VALIDATION_ERROR"),
        ("POST", "/api/v1/things/1", raw_json(b"[" * 100_000), 400, "BAD_REQUEST"),
        ("POST", "/api/v1/things/1", raw_json(b"\xff"), 400, "BAD_REQUEST"),
        ("GET", "/api/v1/things/secret/door", {}, 401, "UNAUTHENTICATED"),
        ("GET", "/api/v1/things/broken/bug", {}, 500, "INTERNAL_ERROR"),
        ("GET", "/api/v1/things/broken/log", {}, 503, "LOG_UNAVAILABLE"),
        ("GET", "/api/v1/things/broken/teapot", {}, 418, "IM_A_TEAPOT"),
    ],
)  # fmt: skip
async def test_every_refusal_is_a_problem(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    options: dict[str, Any],
    status: int,
    code: str,
) -> None:
    reply = await client.request(method, path, **options)

    problem = reply.json()
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "code", "message", "details", "request_id"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == reply.headers["x-request-id"]
    assert "canary" not in reply.text


async def test_a_validation_error_names_the_field_and_repeats_no_value(
    client: httpx.AsyncClient,
) -> None:
    body = {"name": 7, "password": "canary", "options": {"width": "wide"}}

    reply = await client.post("/api/v1/things/1", json=body)

    fields = {d["field"]: d["code"] for d in reply.json()["details"]}
    assert fields == {
        "name": "string_type",
        "password": "string_too_short",
        "options.width": "int_parsing",
    }
    assert "canary" not in reply.text


async def test_the_headers_of_a_refusal_are_kept(client: httpx.AsyncClient) -> None:
    wrong_method = await client.delete("/api/v1/things/1")
    no_token = await client.get("/api/v1/things/secret/door")
    away = await client.get("/api/v1/things/broken/log")

    assert wrong_method.headers["allow"]
    assert no_token.headers["www-authenticate"] == "Bearer"
    assert away.headers["retry-after"] == "2"


async def test_a_bug_is_logged_once_with_its_stack_and_the_request_id(
    client: httpx.AsyncClient,
) -> None:
    with capture_logs() as logs:
        reply = await client.get("/api/v1/things/broken/bug")

    (record,) = [r for r in logs if r["event"] == "request_failed"]
    assert record["log_level"] == "error"
    assert isinstance(record["exc_info"], RuntimeError)
    assert reply.status_code == 500


async def test_an_answer_that_breaks_in_the_middle_is_seen_to_be_broken(
    client: httpx.AsyncClient,
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/api/v1/things/broken/half")


@pytest.mark.parametrize("sent", ["abc", "A-b_c.9", "x" * 128])
async def test_a_harmless_request_id_is_kept(client: httpx.AsyncClient, sent: str) -> None:
    reply = await client.get("/nowhere", headers={"X-Request-ID": sent})

    assert reply.headers["x-request-id"] == sent
    assert reply.json()["request_id"] == sent


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, 'a"b', "a;b", "é", "a\tb"])
async def test_any_other_request_id_is_replaced(client: httpx.AsyncClient, sent: str) -> None:
    reply = await client.get("/nowhere", headers=[(b"X-Request-ID", sent.encode())])

    assert re.fullmatch("[0-9a-f]{32}", reply.headers["x-request-id"])


async def test_requests_are_logged_and_counted_by_template(client: httpx.AsyncClient) -> None:
    labels = {"method": "POST", "route": "/api/v1/things/{thing_id}", "status": "202"}
    name = "magictoolbox_http_request_duration_seconds_count"
    before = REGISTRY.get_sample_value(name, labels) or 0.0
    with capture_logs() as logs:
        for number in range(3):
            body = {"name": "n", "password": "long enough"}
            await client.post(f"/api/v1/things/{number}?token=canary", json=body)

    first, *others = [r for r in logs if r["event"] == "request_served"]
    assert len(others) == 2
    assert (first["method"], first["status"]) == ("POST", 202)
    assert first["route"] == "/api/v1/things/{thing_id}"
    assert "canary" not in json.dumps(logs)
    assert REGISTRY.get_sample_value(name, labels) == before + 3


@pytest.mark.parametrize("path", ["/nowhere/canary", "/api/v1/canary", "/docs/canary"])
async def test_unknown_paths_share_one_label(client: httpx.AsyncClient, path: str) -> None:
    await client.get(path)

    assert "canary" not in (await client.get("/metrics")).text


async def test_unusual_methods_share_one_label(client: httpx.AsyncClient) -> None:
    await client.request("PROPFIND", "/nowhere")

    text = (await client.get("/metrics")).text
    assert "PROPFIND" not in text
    assert 'method="other"' in text


@pytest.mark.parametrize("path", ["/nowhere", "/health", "/api/v1/things/broken/bug", "/docs"])
async def test_browsers_are_told_to_be_careful(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers
    assert "strict-transport-security" not in headers


async def test_a_route_may_set_its_own_cache_control(client: httpx.AsyncClient) -> None:
    reply = await client.get("/api/v1/things/1")

    assert reply.headers.get_list("cache-control") == ["private, max-age=60"]


async def test_only_under_https_browsers_are_told_to_stay_there() -> None:
    async with (
        served(make_app(https=True)) as url,
        httpx.AsyncClient(timeout=SECONDS_MAX) as client,
    ):
        reply = await client.get(f"{url}/health")

    assert reply.headers["strict-transport-security"].startswith("max-age=31536000")


async def test_the_allowed_origin_may_read_what_it_needs(client: httpx.AsyncClient) -> None:
    preflight = await client.options(
        "/api/v1/things/1",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, idempotency-key, content-type",
        },
    )
    refusal = await client.get("/nowhere", headers={"Origin": ORIGIN})

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert refusal.headers["access-control-allow-origin"] == ORIGIN
    assert "X-Event-Position" in refusal.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in refusal.headers


async def test_another_origin_may_not(client: httpx.AsyncClient) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}

    preflight = await client.options("/api/v1/things/1", headers=headers)
    simple = await client.get("/api/v1/things/1", headers={"Origin": "https://evil.example"})

    assert preflight.status_code == 400
    assert preflight.json()["code"] == "CORS_REFUSED"
    assert preflight.json()["request_id"] == preflight.headers["x-request-id"]
    assert "access-control-allow-origin" not in simple.headers
    assert simple.headers["vary"] == "Origin"


TWO_FRAMES = (b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n")


@pytest.mark.parametrize("framing", [b"".join(TWO_FRAMES), b"".join(reversed(TWO_FRAMES))])
async def test_a_request_framed_in_two_ways_is_refused(url: str, framing: bytes) -> None:
    reply = await exchange(
        url,
        b"POST /api/v1/things/body/count HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n"
        b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    )

    assert reply.startswith(b"HTTP/1.1 400 ")
    # The bytes behind must not be answered as a second request.
    assert reply.count(b"HTTP/1.1") == 1


async def test_what_comes_behind_the_length_that_was_said_is_not_part_of_the_body(url: str) -> None:
    reply = await exchange(
        url,
        b"POST /api/v1/things/body/count HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
        b"12345 and more\r\n\r\n",
    )

    assert reply.count(b"HTTP/1.1 400 ") == 1
    # Whether the first request is still answered depends on which comes first.
    assert b'"bytes"' not in reply.replace(b'{"bytes":5}', b"")


async def test_a_server_that_lets_two_frames_through_does_not_help() -> None:
    """Another server, or another version, may be lenient: the guard stands behind it."""
    headers = {"content-length": "5", "transfer-encoding": "chunked"}
    transport = httpx.ASGITransport(make_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        reply = await client.post("/api/v1/things/body/count", content=b"12345", headers=headers)

    assert (reply.status_code, reply.json()["code"]) == (400, "BAD_FRAMING")
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize(
    "raw",
    [
        b"NOT HTTP AT ALL\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_not_http_is_refused_as_a_problem(url: str, raw: bytes) -> None:
    reply = await exchange(url, raw)

    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 "))
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] in ("BAD_REQUEST", "NOT_FOUND")


async def test_an_ordinary_body_is_bounded(client: httpx.AsyncClient) -> None:
    fits = await client.post("/api/v1/things/body/count", content=b"x" * BODY_BYTES_MAX)
    over = await client.post("/api/v1/things/body/count", content=b"x" * (BODY_BYTES_MAX + 1))

    assert fits.json() == {"bytes": BODY_BYTES_MAX}
    assert (over.status_code, over.json()["code"]) == (413, "BODY_TOO_LARGE")


async def test_a_route_may_allow_more(client: httpx.AsyncClient) -> None:
    fits = await client.post("/api/v1/things/body/big", content=b"x" * (3 * BODY_BYTES_MAX))
    over = await client.post("/api/v1/things/body/big", content=b"x" * (3 * BODY_BYTES_MAX + 1))

    assert fits.json() == {"bytes": 3 * BODY_BYTES_MAX}
    assert over.status_code == 413


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/things/body/refused"])
async def test_a_refusal_is_seen_although_the_body_was_not_read(
    client: httpx.AsyncClient, path: str
) -> None:
    reply = await client.post(path, content=b"x" * (20 * 1024 * 1024))

    assert reply.status_code in (404, 409)
    assert reply.headers["connection"] == "close"


async def test_a_connection_goes_on_after_a_refusal_that_read_everything(
    client: httpx.AsyncClient,
) -> None:
    reply = await client.post("/api/v1/things/1", json={})

    assert reply.status_code == 422
    assert "connection" not in reply.headers


async def test_health_stands_outside_the_api_prefix(client: httpx.AsyncClient) -> None:
    ready = await client.get("/ready")

    assert (await client.get("/health")).json() == {"status": "ok"}
    assert ready.status_code == 200
    assert ready.json()["status"] == "degraded"
    assert "magictoolbox_http_requests_in_progress 1.0" in (await client.get("/metrics")).text


async def test_the_openapi_document_describes_problems(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    responses = document["paths"]["/api/v1/things/{thing_id}"]["post"]["responses"]
    schema = responses["default"]["content"]["application/problem+json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/ProblemDocument"}
    assert "422" not in responses
    assert "/health" not in document["paths"]
    assert "<title>t - Swagger UI</title>" in (await client.get("/docs")).text


async def test_an_occupied_port_is_an_error_not_an_exit() -> None:
    async with served(make_app()) as url:
        port = urlsplit(url).port
        assert port is not None
        with pytest.raises(OSError, match="in use"):
            HttpServer(make_app(), "127.0.0.1", port).bind()


async def test_an_application_that_cannot_start_is_an_error_not_an_exit() -> None:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    server = HttpServer(make_app(lifespan=lifespan), "127.0.0.1", 0, name="api")

    with pytest.raises(RuntimeError, match="did not start"):
        await server.run()


async def test_a_drain_lets_a_running_request_finish() -> None:
    app = make_app()
    began, go_on = asyncio.Event(), asyncio.Event()

    @app.get("/slow")
    async def slow() -> dict[str, str]:
        began.set()
        await go_on.wait()
        return {"done": "yes"}

    server = HttpServer(app, "127.0.0.1", 0, drain_seconds=5)
    server.bind()
    running = asyncio.create_task(server.run())
    await server.wait_started()
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{server.port}", timeout=SECONDS_MAX
    ) as client:
        asking = asyncio.create_task(client.get("/slow"))
        await began.wait()
        server.drain()
        go_on.set()
        assert (await asking).json() == {"done": "yes"}
    await asyncio.wait_for(running, SECONDS_MAX)


async def test_a_server_that_is_cancelled_ends_although_a_request_hangs() -> None:
    app = make_app()
    began = asyncio.Event()

    @app.get("/hangs")
    async def hangs() -> None:
        began.set()
        await asyncio.Event().wait()

    server = HttpServer(app, "127.0.0.1", 0, drain_seconds=60)
    server.bind()
    running = asyncio.create_task(server.run())
    await server.wait_started()
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{server.port}", timeout=SECONDS_MAX
    ) as client:
        asking = asyncio.create_task(client.get("/hangs"))
        await began.wait()
        running.cancel()
        async with asyncio.timeout(SECONDS_MAX):
            with pytest.raises(asyncio.CancelledError):
                await running
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
