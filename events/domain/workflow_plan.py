"""The plan of a workflow: what its steps are, what each waits for, and whether that makes sense."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, Self

from events.contracts.values import DEFAULT_QUEUE, FileRef, SealedText

STEPS_MAX: Final = 1_000
FAN_OUT_MAX: Final = 500
"""Jobs of one step; all of them start in one append."""
WORKFLOW_JOBS_MAX: Final = 10_000
"""Jobs of all steps together in one round, those that it keeps of an earlier one too."""


class Verdict(StrEnum):
    """What the ends that were counted so far mean."""

    WAIT = "wait"
    GO = "go"
    NEVER = "never"


class Policy(StrEnum):
    """How many of those that are waited for have to succeed."""

    ALL = "all"
    ANY = "any"
    AT_LEAST = "at_least"
    ALWAYS = "always"
    """None has to, but all have to have ended."""


@dataclass(frozen=True, slots=True)
class Join:
    """A policy with its number."""

    policy: Policy = Policy.ALL
    least: int = 0
    """Of `at_least`."""

    def verdict(self, succeeded: int, ended: int, total: int) -> Verdict:
        """Whether to go ahead when so many of the total have ended, and so many well."""
        if self.policy is Policy.ALWAYS:
            return Verdict.GO if ended == total else Verdict.WAIT
        wanted = self.wanted_of(total)
        if succeeded >= wanted:
            return Verdict.GO
        return Verdict.NEVER if succeeded + total - ended < wanted else Verdict.WAIT

    def wanted_of(self, total: int) -> int:
        """How many have to succeed."""
        wanted = {Policy.ALL: total, Policy.ANY: 1, Policy.AT_LEAST: self.least}
        return wanted.get(self.policy, 0)

    @property
    def forgives(self) -> bool:
        """Whether it is meant to go ahead although something failed."""
        return self.policy in (Policy.ANY, Policy.AT_LEAST)

    def as_json(self) -> str | int:
        """The form a fact carries: the policy's name, or the number of `at_least`."""
        return self.least if self.policy is Policy.AT_LEAST else self.policy.value

    @classmethod
    def from_json(cls, value: str | int) -> Self:
        """Read the form a fact carries."""
        return cls(Policy.AT_LEAST, value) if isinstance(value, int) else cls(Policy(value))


@dataclass(frozen=True, slots=True)
class StepInput:
    """Files that a step's jobs get: one that the workflow has, or what another step made."""

    file: FileRef | None = None
    """Its name is sealed with the workflow's key under field `name`."""
    step: str | None = None
    output: SealedText | None = None
    """Which output of the other step, sealed under field `output`; None: every one."""

    def as_json(self) -> dict[str, Any]:
        """The form a fact carries."""
        if self.file is not None:
            return {"file": self.file.as_json()}
        return {"step": self.step, "output": self.output}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read the form a fact carries."""
        if "file" in value:
            return cls(file=FileRef.from_json(value["file"]))
        return cls(step=value["step"], output=value["output"])


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step."""

    id: str
    tool: str
    options: SealedText
    """Under field `options:<id>`."""
    inputs: Sequence[StepInput] = ()
    after: Sequence[str] = ()
    """Steps that it waits for, besides those whose outputs it takes."""
    for_each: str | None = None
    """It has one job for each output of this step."""
    join: Join = Join()
    """How many of the steps that it waits for have to succeed before it starts."""
    quorum: Join = Join()
    """How many of its jobs have to succeed for it to succeed."""
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    secrets: SealedText | None = None
    """Under field `secrets:<id>`, and the key of `secrets_id`, which ends with the workflow."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The steps that it waits for, each once."""
        taken = [each.step for each in self.inputs if each.step is not None]
        each = [self.for_each] if self.for_each is not None else []
        return tuple(dict.fromkeys([*self.after, *taken, *each]))

    def as_json(self) -> dict[str, Any]:
        """The form a fact carries."""
        return {
            "id": self.id,
            "tool": self.tool,
            "options": self.options,
            "inputs": [each.as_json() for each in self.inputs],
            "after": list(self.after),
            "for_each": self.for_each,
            "join": self.join.as_json(),
            "quorum": self.quorum.as_json(),
            "queue": self.queue,
            "priority": self.priority,
            **({"secrets": self.secrets} if self.secrets else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read the form a fact carries; fields that a later version added are left aside."""
        return cls(
            id=value["id"],
            tool=value["tool"],
            options=SealedText(value["options"]),
            inputs=tuple(StepInput.from_json(each) for each in value["inputs"]),
            after=tuple(value["after"]),
            for_each=value["for_each"],
            join=Join.from_json(value["join"]),
            quorum=Join.from_json(value["quorum"]),
            queue=value["queue"],
            priority=value["priority"],
            secrets=value.get("secrets"),
        )


@dataclass(frozen=True, slots=True)
class PlanProblem:
    """Why a plan makes no sense."""

    field: str
    """Where, as a path into the document: `steps.3.after.0`."""
    message: str
    code: str


def problems(steps: Sequence[StepPlan]) -> list[PlanProblem]:
    """What is wrong with these steps together; empty if they can be run."""
    known = {step.id for step in steps}
    found = [*_repeated(steps), *_unknown(steps, known), *_joins(steps)]
    return found or list(_circles(steps))


def in_order(steps: Collection[StepPlan]) -> list[str]:
    """The steps' ids, each after those that it waits for; raises CycleError."""
    return list(TopologicalSorter({step.id: step.needs for step in steps}).static_order())


def _repeated(steps: Sequence[StepPlan]) -> Iterator[PlanProblem]:
    seen: dict[str, int] = {}
    for number, step in enumerate(steps):
        if step.id in seen:
            message = f"steps.{seen[step.id]} has this id already."
            yield PlanProblem(f"steps.{number}.id", message, "step_repeated")
        seen.setdefault(step.id, number)


def _unknown(steps: Sequence[StepPlan], known: Collection[str]) -> Iterator[PlanProblem]:
    for number, step in enumerate(steps):
        for field, wanted in _references(step):
            if wanted not in known:
                message = f"There is no step {wanted}."
                yield PlanProblem(f"steps.{number}.{field}", message, "unknown_step")


def _references(step: StepPlan) -> Iterator[tuple[str, str]]:
    for place, wanted in enumerate(step.after):
        yield f"after.{place}", wanted
    for place, each in enumerate(step.inputs):
        if each.step is not None:
            yield f"inputs.{place}.step", each.step
    if step.for_each is not None:
        yield "for_each", step.for_each


def _joins(steps: Sequence[StepPlan]) -> Iterator[PlanProblem]:
    for number, step in enumerate(steps):
        needs = len(step.needs)
        if step.join.forgives and step.join.wanted_of(needs) > needs:
            message = f"The step waits for {needs} steps only."
            yield PlanProblem(f"steps.{number}.join", message, "join_too_high")
        if step.for_each is None and step.quorum != Join():
            message = "Only a step with for_each has more than one job."
            yield PlanProblem(f"steps.{number}.quorum", message, "quorum_of_one")
        elif step.quorum.wanted_of(FAN_OUT_MAX) > FAN_OUT_MAX:
            message = f"A step has at most {FAN_OUT_MAX} jobs."
            yield PlanProblem(f"steps.{number}.quorum", message, "quorum_too_high")


def _circles(steps: Sequence[StepPlan]) -> Iterator[PlanProblem]:
    try:
        in_order(steps)
    except CycleError as error:
        # The last one is the first one again; each waits for the one before it.
        circle: list[str] = error.args[1]
        number = next(index for index, step in enumerate(steps) if step.id == circle[-1])
        way = " → ".join(circle)
        message = f"These steps wait for each other: {way}."
        field = _field_of(steps[number], circle[-2])
        yield PlanProblem(f"steps.{number}.{field}", message, "cyclic")


def _field_of(step: StepPlan, wanted: str) -> str:
    return next(field for field, named in _references(step) if named == wanted)
