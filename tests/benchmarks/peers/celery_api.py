"""The comparator's HTTP side: a FastAPI route with a pydantic body that submits a Celery task.

It has no authentication and syncs nothing to disk; the route is synchronous, as Celery is.
"""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from tests.benchmarks.peers.celery_tasks import no_op


class Body(BaseModel):
    """What our own route takes, as far as this peer has a use for it."""

    tool: str
    options: dict[str, Any] = {}
    inputs: list[dict[str, Any]] = []


class Answer(BaseModel):
    """The id of the task."""

    task_id: str


app = FastAPI()


@app.post("/jobs", status_code=202)
def submit(body: Body) -> Answer:
    """Submit one task."""
    return Answer(task_id=no_op.delay().id)
