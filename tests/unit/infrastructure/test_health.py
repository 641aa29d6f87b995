"""Readiness asks every check, waits for none too long, and gives nothing away."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette

from infrastructure.health import Check, CheckFailed, Readiness, health_routes


async def passing() -> str | None:
    return None


async def named() -> str | None:
    return "off"


async def failing() -> str | None:
    raise CheckFailed("no progress for 40 s")


async def broken() -> str | None:
    raise OSError("connect to postgresql://user:canary@10.0.0.7 failed")


async def silent() -> str | None:
    await asyncio.Event().wait()
    return None


async def stubborn() -> str | None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            # As a library call does that swallows its cancellation once.
            await asyncio.sleep(0.2)
            return None


async def get(readiness: Readiness, path: str) -> httpx.Response:
    app = Starlette(routes=list(health_routes(readiness)))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path)


async def test_a_living_loop_is_healthy_whatever_the_checks_say() -> None:
    reply = await get(Readiness({"a": Check(failing)}), "/health")

    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


async def test_ready_when_all_checks_pass() -> None:
    reply = await get(Readiness({"log": Check(passing), "scanner": Check(named)}), "/ready")

    assert reply.status_code == 200
    assert reply.json() == {
        "status": "ready",
        "checks": {"log": {"status": "ok"}, "scanner": {"status": "ok", "detail": "off"}},
    }


async def test_not_ready_when_a_critical_check_fails() -> None:
    reply = await get(Readiness({"log": Check(passing), "relay": Check(failing)}), "/ready")

    assert reply.status_code == 503
    assert reply.json()["status"] == "not_ready"
    assert reply.json()["checks"]["relay"] == {
        "status": "failed",
        "detail": "no progress for 40 s",
    }


async def test_degraded_but_in_service_when_only_others_fail() -> None:
    checks = {"log": Check(passing), "cache": Check(failing, critical=False)}

    reply = await get(Readiness(checks), "/ready")

    assert reply.status_code == 200
    assert reply.json()["status"] == "degraded"
    assert reply.json()["checks"]["cache"]["critical"] is False


async def test_an_error_text_is_not_shown() -> None:
    reply = await get(Readiness({"log": Check(broken)}), "/ready")

    assert reply.json()["checks"]["log"] == {"status": "failed", "detail": "failed"}
    assert "canary" not in reply.text


@pytest.mark.parametrize("probe", [silent, stubborn])
async def test_a_check_that_does_not_answer_fails_at_its_deadline(probe: object) -> None:
    check = Check(silent if probe is silent else stubborn, deadline_seconds=0.02)

    async with asyncio.timeout(30):
        report = await Readiness({"log": check}).report()

    assert report.outcomes["log"].detail == "deadline exceeded"


async def test_probes_that_ask_together_share_one_answer() -> None:
    asked = 0

    async def counting() -> str | None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return None

    readiness = Readiness({"log": Check(counting)})
    await asyncio.gather(*(readiness.report() for _ in range(50)))
    assert asked == 1

    await readiness.report()
    assert asked == 2


async def test_a_prober_that_goes_away_does_not_spoil_the_answer_of_the_others() -> None:
    go_on = asyncio.Event()

    async def waiting() -> str | None:
        await go_on.wait()
        return None

    readiness = Readiness({"log": Check(waiting)})
    first = asyncio.create_task(readiness.report())
    second = asyncio.create_task(readiness.report())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    go_on.set()

    assert (await second).is_ready


async def test_metrics_are_served_as_text() -> None:
    reply = await get(Readiness(), "/metrics")

    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain")
    assert "magictoolbox_ready" in reply.text
