"""What clients of a world ask for: jobs of all kinds, and workflows of a few steps."""

import random
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import orjson

from events.contracts.values import Origin
from events.contracts.workflow import OnFailure
from events.domain.job import Job, JobRequest
from events.domain.schedule import Missed, Plan, Schedule, Template
from events.domain.workflow import Workflow, WorkflowRequest
from events.domain.workflow_plan import Join, Policy, StepInput, StepPlan, problems
from events.store.sealing import Seal

OWNER: Final = "user:1"
TOOL: Final = "labor"
STEPS_MAX: Final = 4

Order = Callable[[UUID, Seal, Origin], Any]
"""Makes what is asked for, under an id and sealed with its key; the same one each time."""


def job(dice: random.Random) -> Order:
    """A job."""
    options, attempts_max = _labor(dice, [0.0, 0.3, 3.0, 6.0]), dice.choice([1, 4])
    priority, patience = dice.choice([0, 0, 10, -10]), dice.choice([None, None, 2.0])

    def order(job_id: UUID, seal: Seal, origin: Origin) -> Job:
        request = JobRequest(
            owner=OWNER,
            tool=TOOL,
            tool_version="1",
            options=seal.seal("options", options),
            inputs=(),
            priority=priority,
            attempts_max=attempts_max,
            timeout_seconds=60.0,
            queue_seconds_max=patience,
        )
        return Job.submit(job_id, request, origin)

    return order


def workflow(dice: random.Random) -> Order:
    """A workflow that makes sense."""
    names = [f"step-{number}" for number in range(dice.randint(2, STEPS_MAX))]
    works = {name: _labor(dice, [0.0, 0.2, 1.0]) for name in names}
    shapes = {name: _shape(dice, names[:number]) for number, name in enumerate(names)}
    on_failure = dice.choice(list(OnFailure))

    def order(workflow_id: UUID, seal: Seal, origin: Origin) -> Workflow:
        plans = [
            StepPlan(name, TOOL, seal.seal(f"options:{name}", works[name]), **shapes[name])
            for name in names
        ]
        assert problems(plans) == []
        request = WorkflowRequest(OWNER, plans, on_failure=on_failure)
        return Workflow.submit(workflow_id, request, origin)

    return order


def schedule(dice: random.Random) -> Order:
    """A job for every minute."""
    options, missed = _labor(dice, [0.0, 0.3]), dice.choice(list(Missed))

    def order(schedule_id: UUID, seal: Seal, origin: Origin) -> Schedule:
        template = Template(TOOL, seal.seal("options", options))
        plan = Plan("* * * * *", "Europe/Berlin", missed)
        return Schedule.create(
            schedule_id, seal.seal("name", "each minute"), plan, template, origin
        )

    return order


def _shape(dice: random.Random, earlier: list[str]) -> dict[str, Any]:
    """What a step waits for, of those before it."""
    if not earlier or dice.random() < 0.2:
        return {}
    needs = dice.sample(earlier, dice.randint(1, len(earlier)))
    join = Join(dice.choice([Policy.ALL, Policy.ALL, Policy.ANY, Policy.ALWAYS]))
    match dice.choice(["after", "takes", "for_each"]):
        case "after":
            return {"after": needs, "join": join}
        case "takes":
            return {"inputs": tuple(StepInput(step=each) for each in needs), "join": join}
        case _:
            return {"for_each": needs[0], "quorum": Join(dice.choice([Policy.ALL, Policy.ANY]))}


def _labor(dice: random.Random, seconds: list[float]) -> str:
    options = {
        "seconds": dice.choice(seconds),
        "outcome": dice.choice(["succeeds", "succeeds", "succeeds", "is_flaky", "is_corrupt"]),
        "outputs": dice.choice([1, 1, 2]),
    }
    return orjson.dumps(options).decode()
