"""A job as it goes: its events without a gap, progress between them, and an end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from fastapi import FastAPI

from events.contracts.subjects import progress_subject
from query_api.app import create_app
from query_api.settings import QueryApiSettings
from query_api.streams import STREAMS_OF_ONE_MAX
from tests.fixtures.http import served
from tests.fixtures.query_api import CONNECT_SECONDS, TENANT, AuthHeaders, World
from tests.fixtures.waiting import eventually

SECONDS_MAX = 20.0


@dataclass
class Message:
    """One server-sent event."""

    event: str
    position: int | None
    data: dict[str, Any]

    @property
    def fact(self) -> str:
        return str(self.data["topic"]).rpartition(".")[2]


@dataclass
class Api:
    app: FastAPI
    client: httpx.AsyncClient

    @asynccontextmanager
    async def stream(
        self, job_id: UUID, headers: dict[str, str], after: int | None = None
    ) -> AsyncIterator[AsyncIterator[Message]]:
        """The messages of a job's stream, as they come."""
        resume = {} if after is None else {"Last-Event-ID": str(after)}
        url = f"/jobs/{job_id}/stream"
        async with self.client.stream("GET", url, headers=headers | resume) as answer:
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            async with asyncio.timeout(SECONDS_MAX):
                yield messages(answer)


async def messages(answer: httpx.Response) -> AsyncIterator[Message]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if "data" in fields:
            position = int(fields["id"]) if "id" in fields else None
            yield Message(fields.get("event", "message"), position, orjson.loads(fields["data"]))
        fields = {}


@pytest.fixture
async def api(query_settings: QueryApiSettings) -> AsyncIterator[Api]:
    app = create_app(query_settings)
    async with (
        served(app) as url,
        httpx.AsyncClient(base_url=f"{url}/api/v1", trust_env=False, timeout=SECONDS_MAX) as client,
    ):
        broker = app.state.resources.broker
        assert await broker.wait_connected(CONNECT_SECONDS)
        await broker.client.flush()
        yield Api(app, client)


async def test_events_come_as_they_happen_and_the_stream_ends_with_the_job(
    api: Api, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.project()
    seen: list[Message] = []

    async with api.stream(job_id, await auth_headers()) as stream:
        seen.append(await anext(stream))
        await world.start(job_id)
        await world.project()
        seen.append(await anext(stream))
        await world.cancel(job_id)
        last = await world.project()
        seen += [message async for message in stream]

    assert [message.fact for message in seen] == ["submitted", "attempt_started", "cancelled"]
    assert [message.position for message in seen] == [message.data["position"] for message in seen]
    assert seen[-1].position == last


async def test_a_client_that_was_cut_off_goes_on_without_a_gap(
    api: Api, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    first = await world.project()
    await world.fail(job_id, "It is cut short.")
    last = await world.project()
    headers = await auth_headers()

    async with api.stream(job_id, headers, after=first) as stream:
        seen = [message async for message in stream]
    done = await api.client.get(
        f"/jobs/{job_id}/stream", headers=headers | {"Last-Event-ID": str(last)}
    )

    assert [message.fact for message in seen] == ["attempt_started", "attempt_failed"]
    assert seen[-1].data["details"]["message"] == "It is cut short."
    assert done.status_code == 204


async def test_progress_comes_between_the_events_and_has_no_id(
    api: Api, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.start(job_id)
    await world.project()

    async with api.stream(job_id, await auth_headers()) as stream:
        assert [(await anext(stream)).fact for _ in range(2)] == ["submitted", "attempt_started"]
        await api.app.state.resources.broker.client.flush()
        body = orjson.dumps({"percent": 40.0, "message": "page 2 of 5", "attempt": 1})
        await world.broker.client.publish(progress_subject(TENANT, str(job_id)), body)
        progress = await anext(stream)

    assert (progress.event, progress.position) == ("progress", None)
    assert progress.data == {"percent": 40.0, "message": "page 2 of 5"}


async def test_streams_end_when_the_process_drains(
    api: Api, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.project()

    async with api.stream(job_id, await auth_headers()) as stream:
        await anext(stream)
        api.app.state.resources.watch.end()

        assert [message async for message in stream] == []


async def test_one_stream_too_many_is_refused_until_another_one_ends(
    api: Api, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.project()
    user, headers = await world.user(), await auth_headers()
    streams = api.app.state.resources.streams
    for _ in range(STREAMS_OF_ONE_MAX):
        streams.enter(user.user_id)

    refused = await api.client.get(f"/jobs/{job_id}/stream", headers=headers)
    streams.leave(user.user_id)
    async with api.stream(job_id, headers) as stream:
        taken = await anext(stream)

    assert (refused.status_code, refused.json()["code"]) == (429, "TOO_MANY_STREAMS")
    assert taken.fact == "submitted"


async def test_a_place_that_a_client_left_is_free_again(
    api: Api, world: World, auth_headers: AuthHeaders
) -> None:
    job_id = await world.submit()
    await world.project()
    resources = api.app.state.resources

    async with api.stream(job_id, await auth_headers()) as stream:
        await anext(stream)

    # The server hears of it as soon as its side of the connection is closed.
    await eventually(lambda: not (resources.streams._of_one or resources.progress._listening))
