"""Absolute addresses of jobs, here and on the query API."""

from urllib.parse import quote
from uuid import UUID

from infrastructure.settings import HttpSettings

PREFIX = "/api/v1"


class Links:
    """Knows under which addresses the two APIs are reached from outside."""

    def __init__(self, settings: HttpSettings) -> None:
        self._commands = f"{settings.command_public_url}{PREFIX}"
        self._queries = f"{settings.query_public_url}{PREFIX}"

    def job(self, job_id: UUID) -> str:
        """Where the job is seen."""
        return f"{self._queries}/jobs/{job_id}"

    def output(self, job_id: UUID, name: str) -> str:
        """Where one of its outputs is fetched."""
        return f"{self._queries}/jobs/{job_id}/outputs/{quote(name, safe='')}"

    def user(self, user_id: UUID) -> str:
        """Where a user is managed."""
        return f"{self._commands}/users/{user_id}"

    def bulk(self, bulk_id: UUID) -> str:
        """Where a bulk operation is seen."""
        return f"{self._queries}/bulk/{bulk_id}"

    def of_bulk(self, bulk_id: UUID) -> dict[str, str]:
        """Everything one can do with a bulk operation."""
        return {
            "self": self.bulk(bulk_id),
            "cancel": f"{self._commands}/bulk/{bulk_id}/cancel",
        }

    @property
    def queues(self) -> str:
        """Where the queues are seen."""
        return f"{self._queries}/queues"

    @property
    def limits(self) -> str:
        """Where the limits are seen."""
        return f"{self._queries}/limits"

    def schedule(self, schedule_id: UUID) -> str:
        """Where the schedule is seen."""
        return f"{self._queries}/schedules/{schedule_id}"

    def of_schedule(self, schedule_id: UUID) -> dict[str, str]:
        """Everything one can do with a schedule."""
        steered = f"{self._commands}/schedules/{schedule_id}"
        steps = {step: f"{steered}/{step}" for step in ("pause", "resume", "fire")}
        return {"self": self.schedule(schedule_id), "change": steered, **steps}

    def of_job(self, job_id: UUID) -> dict[str, str]:
        """Everything one can do with a job."""
        seen = self.job(job_id)
        steered = f"{self._commands}/jobs/{job_id}"
        return {
            "self": seen,
            "events": f"{seen}/events",
            "cancel": f"{steered}/cancel",
            "retry": f"{steered}/retry",
        }

    def workflow(self, workflow_id: UUID) -> str:
        """Where the workflow is seen."""
        return f"{self._queries}/workflows/{workflow_id}"

    def of_workflow(self, workflow_id: UUID) -> dict[str, str]:
        """Everything one can do with a workflow."""
        seen = self.workflow(workflow_id)
        steered = f"{self._commands}/workflows/{workflow_id}"
        return {
            "self": seen,
            "events": f"{seen}/events",
            "cancel": f"{steered}/cancel",
            "retry": f"{steered}/retry",
        }
