"""Absolute addresses: of jobs and their parts here, and of what may be done with them there."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import quote
from uuid import UUID

from events.contracts.bulk import BulkStatus
from events.contracts.values import JobStatus
from events.contracts.workflow import WorkflowStatus, is_step_job
from infrastructure.settings import HttpSettings

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class Links:
    """The public addresses of both APIs."""

    command_url: str
    query_url: str

    @classmethod
    def of(cls, settings: HttpSettings) -> Self:
        """As the environment says."""
        return cls(settings.command_public_url, settings.query_public_url)

    def tool(self, name: str) -> dict[str, str]:
        """A tool, and where files for it go."""
        path = f"{PREFIX}/tools/{quote(name, safe='')}"
        return {
            "self": f"{self.query_url}{path}",
            "process": f"{self.command_url}{path}/process",
        }

    def job(self, job_id: UUID, status: str) -> dict[str, str]:
        """A job, its history, and the commands that its status allows."""
        path = f"{PREFIX}/jobs/{job_id}"
        seen = self.seen_job(job_id)
        links = {"self": seen, "events": f"{seen}/events", "report": f"{seen}/report"}
        links["stream"] = f"{seen}/stream"
        if not JobStatus(status).is_final:
            links["cancel"] = f"{self.command_url}{path}/cancel"
        elif status != JobStatus.SUCCEEDED and not is_step_job(job_id):
            links["retry"] = f"{self.command_url}{path}/retry"
        return links

    def seen_job(self, job_id: UUID) -> str:
        """A job as it is."""
        return f"{self.query_url}{PREFIX}/jobs/{job_id}"

    def bulk(self, bulk_id: UUID, status: str) -> dict[str, str]:
        """A bulk operation, and the way to stop it."""
        path = f"{PREFIX}/bulk/{bulk_id}"
        links = {"self": f"{self.query_url}{path}"}
        if status == BulkStatus.RUNNING:
            links["cancel"] = f"{self.command_url}{path}/cancel"
        return links

    def schedule(self, schedule_id: UUID, status: str) -> dict[str, str]:
        """A schedule, and the commands that its status allows."""
        path = f"{PREFIX}/schedules/{schedule_id}"
        steered = f"{self.command_url}{path}"
        step = "resume" if status == "paused" else "pause"
        return {
            "self": f"{self.query_url}{path}",
            "change": steered,
            "fire": f"{steered}/fire",
            step: f"{steered}/{step}",
        }

    def workflow(self, workflow_id: UUID, status: str) -> dict[str, str]:
        """A workflow, its history and picture, and the commands that its status allows."""
        path = f"{PREFIX}/workflows/{workflow_id}"
        seen = f"{self.query_url}{path}"
        links = {"self": seen, "events": f"{seen}/events", "mermaid": f"{seen}?format=mermaid"}
        if not WorkflowStatus(status).is_final:
            links["cancel"] = f"{self.command_url}{path}/cancel"
        elif status != WorkflowStatus.SUCCEEDED:
            links["retry"] = f"{self.command_url}{path}/retry"
        return links

    def outputs_zip(self, job_id: UUID) -> str:
        """The bytes of all outputs as one file."""
        return f"{self.seen_job(job_id)}/outputs.zip"

    def output(self, job_id: UUID, name: str) -> str:
        """The bytes of one output."""
        return f"{self.query_url}{PREFIX}/jobs/{job_id}/outputs/{quote(name, safe='')}"
