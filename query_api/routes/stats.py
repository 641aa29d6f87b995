"""The tenant's jobs in numbers, for those who may see the whole tenant."""

from collections import Counter, defaultdict
from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from events.contracts.values import JobStatus
from query_api.principals import TenantReader
from query_api.queries import stats
from query_api.queries.stats import Outcomes, Overview
from query_api.rendering import Rendered, reads
from query_api.resources import WithResources
from query_api.routes.parameters import MinPosition
from query_api.views import OutcomeStats, OverviewView, ToolStats
from query_api.waiting import read_at_least

# The counters are by the hour, so the hour that began up to an hour earlier counts whole.
SPAN: Final = timedelta(hours=24)

router = APIRouter(prefix="/stats", tags=["stats"])


@reads(router, "/overview", OverviewView)
async def get_overview(
    request: Request,
    resources: WithResources,
    principal: TenantReader,
    min_position: MinPosition = 0,
) -> Response:
    """How many jobs are in each state, and what happened lately; for operators and auditors."""
    since = resources.clock.now() - SPAN
    answer = await read_at_least(
        resources.positions,
        stats.PROJECTIONS,
        min_position,
        lambda: stats.overview(resources.reader, principal.tenant, since),
    )
    return Rendered(_view(answer.found)).answer(request, answer.position)


def _view(found: Overview) -> OverviewView:
    in_all: Counter[JobStatus] = Counter(dict.fromkeys(JobStatus, 0))
    by_tool: dict[str, dict[JobStatus, int]] = defaultdict(dict)
    for tool, status, count in found.jobs:
        in_all[JobStatus(status)] += count
        by_tool[tool][JobStatus(status)] = count
    return OverviewView(
        jobs=dict(in_all),
        tools=[ToolStats(tool=tool, jobs=jobs) for tool, jobs in by_tool.items()],
        last_24_hours=_outcomes(found.outcomes),
    )


def _outcomes(outcomes: Outcomes) -> OutcomeStats:
    ended = outcomes.succeeded + outcomes.failed
    return OutcomeStats(
        submitted=outcomes.submitted,
        succeeded=outcomes.succeeded,
        failed=outcomes.failed,
        cancelled=outcomes.cancelled,
        success_ratio=outcomes.succeeded / ended if ended else None,
        duration_ms_mean=(
            outcomes.duration_ms_total / outcomes.succeeded if outcomes.succeeded else None
        ),
    )
