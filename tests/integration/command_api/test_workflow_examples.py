"""The examples of docs/workflows.md are accepted, with the tools as they are and real files."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrastructure.clock import SystemClock
from processors.offers import ToolOffers
from processors.tools.registry import installed
from tests.factories.files import photo_jpeg, simple_pdf
from tests.fixtures.command_api import CommandApi

PAGE = Path(__file__).parents[3] / "docs" / "workflows.md"
UPLOAD = "01a20766-3488-7559-a501-93ab8b57f533"
"""Stands on the page where an upload's id belongs."""
EXAMPLES = dict(
    re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```json\n(.*?)^```", PAGE.read_text(), re.M | re.S)
)
FILES = {
    "A chain": ("scan.pdf", simple_pdf()),
    "One job for each output": ("scan.pdf", simple_pdf(pages=2)),
    "Several ways that meet again": ("photo.jpg", photo_jpeg()),
    "A batch": ("photo.jpg", photo_jpeg()),
}


def test_every_example_of_the_page_is_known_here() -> None:
    assert EXAMPLES.keys() == FILES.keys()


@pytest.mark.parametrize("title", FILES)
async def test_an_example_is_accepted(
    api: CommandApi, client: httpx.AsyncClient, auth_headers: dict[str, str], title: str
) -> None:
    await ToolOffers(api.repository, "worker:1", SystemClock()).offer(installed())
    file = await client.post("/uploads", files={"file": FILES[title]}, headers=auth_headers)
    text = EXAMPLES[title].replace(UPLOAD, file.json()["upload_id"])
    document: dict[str, Any] = json.loads(text)
    path = "/batches" if "jobs" in document else "/workflows"

    answer = await client.post(path, json=document, headers=auth_headers)

    assert answer.status_code == 202, answer.text
    assert UPLOAD not in text
    assert answer.json()["status"] == "running"
