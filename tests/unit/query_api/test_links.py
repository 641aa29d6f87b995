"""What may be done with a job, as its links say."""

from uuid import UUID

import pytest

from events.contracts.values import JobStatus
from events.contracts.workflow import step_job_id
from infrastructure.ids import uuid7
from query_api.links import Links

LINKS = Links("https://command.test", "https://query.test")


@pytest.mark.parametrize(
    ("job_id", "is_offered"), [(uuid7(), True), (step_job_id(uuid7(), "a", 1, 0), False)]
)
def test_a_retry_is_offered_only_of_jobs_without_a_workflow(job_id: UUID, is_offered: bool) -> None:
    links = LINKS.job(job_id, JobStatus.FAILED)

    assert ("retry" in links) is is_offered
    assert "cancel" in LINKS.job(job_id, JobStatus.RUNNING)
