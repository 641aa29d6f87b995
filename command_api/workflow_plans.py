"""Turns the steps that a client asked for into a plan, or says of each field what is wrong with it.

Everything that can be known beforehand is found here, of every step at once: the shape of the
whole, the tools and their options, the files that are there. What other steps are to make is
judged when they have made it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from command_api.errors import InvalidOptions, InvalidWorkflow
from command_api.input_files import InputFile, InputFiles, owned
from command_api.options import canonical
from command_api.secret_options import parted
from command_api.tool_cache import CachedOffer
from command_api.tool_check import ToolCheck, check_files, check_number
from command_api.workflow_commands import EVERY_OUTPUT, StepOutput, StepRequest
from events.contracts.sealed_fields import OUTPUT_FIELD
from events.contracts.values import SealedText
from events.domain.errors import DomainError
from events.domain.workflow_plan import StepInput, StepPlan, problems
from events.store.provisional_blobs import ProvisionalBlobs
from events.store.sealing import Seal
from infrastructure.principals import Principal

DETAILS_MAX: Final = 20
FILES_MAX: Final = 1_000
"""Different files of one workflow; each is copied, so that it is there when its step starts."""


@dataclass(frozen=True, slots=True)
class WorkflowSeals:
    """The keys of a workflow: one for its words, one for what ends with it."""

    words: Seal
    secrets: Seal


Given = Any
"""An upload or the output of a job, as a client names it."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A file, or why there is none."""

    file: InputFile | None
    refused: DomainError | None = None


class WorkflowPlans:
    """Makes plans."""

    def __init__(self, tools: ToolCheck, files: InputFiles) -> None:
        self._tools = tools
        self._files = files

    async def plan(
        self,
        principal: Principal,
        steps: Sequence[StepRequest],
        seals: WorkflowSeals,
        blobs: ProvisionalBlobs,
        *,
        field: str,
    ) -> list[StepPlan]:
        """The plan, its files copied; raises InvalidWorkflow, whose fields begin with `field`."""
        plans = [_plan(step, seals.words) for step in steps]
        tools: dict[str, CachedOffer] = {}
        wrong = [
            {"field": each.field, "message": each.message, "code": each.code}
            for each in problems(plans)
        ]
        if not wrong:
            found = await self._find(principal, steps)
            for number, step in enumerate(steps):
                if len(wrong) < DETAILS_MAX:
                    wrong += await self._check(f"steps.{number}", step, found, tools)
        if wrong:
            raise InvalidWorkflow(errors=[_renamed(each, field) for each in wrong[:DETAILS_MAX]])
        told = [
            _told(plan, step, tools[step.tool], seals)
            for plan, step in zip(plans, steps, strict=True)
        ]
        return await _filled(principal, told, steps, found, seals.words, blobs)

    async def _find(
        self, principal: Principal, steps: Sequence[StepRequest]
    ) -> dict[Given, _Found]:
        """Every file that is named, looked up once."""
        named = {each for step in steps for each in step.inputs if not isinstance(each, StepOutput)}
        if len(named) > FILES_MAX:
            message = f"The steps take {len(named)} different files; {FILES_MAX} at most."
            raise InvalidWorkflow(
                errors=[{"field": "steps", "message": message, "code": "too_many_files"}]
            )
        return {each: await self._look_up(principal, each) for each in named}

    async def _look_up(self, principal: Principal, given: Given) -> _Found:
        try:
            (file,) = await self._files.find(principal, [given])
        except DomainError as error:
            return _Found(None, error)
        return _Found(file, None if file.is_usable else file.gone)

    async def _check(
        self,
        place: str,
        step: StepRequest,
        found: Mapping[Given, _Found],
        tools: dict[str, CachedOffer],
    ) -> list[dict[str, str]]:
        """What is wrong with one step; its tool is added to the others."""
        wrong = []
        files: list[InputFile] = []
        for number, each in enumerate(step.inputs):
            known = found.get(each)
            if known is not None and known.refused is not None:
                wrong.append(_detail(f"{place}.inputs.{number}", known.refused))
            elif known is not None and known.file is not None:
                files.append(known.file)
        try:
            tool = tools[step.tool] = await self._tools.offered(step.tool, step.options)
        except InvalidOptions as error:
            return [*wrong, *_of_options(f"{place}.options", error)]
        except DomainError as error:
            return [*wrong, _detail(f"{place}.tool", error)]
        try:
            check_files(tool, files)
            if step.for_each is None and len(files) == len(step.inputs):
                check_number(tool.offer, len(files))
        except DomainError as error:
            wrong.append(_detail(f"{place}.inputs", error))
        return wrong


def _plan(step: StepRequest, seal: Seal) -> StepPlan:
    """The step without its files and options: these come later, when the rest is known to be right,
    and which of them are secret.
    """
    return StepPlan(
        id=step.id,
        tool=step.tool,
        options=SealedText(""),
        inputs=tuple(_taken(each, seal) for each in step.inputs),
        after=step.after,
        for_each=step.for_each,
        join=step.join,
        quorum=step.quorum,
        queue=step.queue,
        priority=step.priority,
    )


def _told(plan: StepPlan, step: StepRequest, tool: CachedOffer, seals: WorkflowSeals) -> StepPlan:
    """The step with its options, the secret ones under the key that ends with the workflow."""
    open_ones, secrets = parted(step.options, tool.offer.options_schema)
    sealed = seals.secrets.seal(f"secrets:{step.id}", canonical(secrets)) if secrets else None
    options = seals.words.seal(f"options:{step.id}", canonical(open_ones))
    return replace(plan, options=options, secrets=sealed)


def _taken(given: Given, seal: Seal) -> StepInput:
    if not isinstance(given, StepOutput):
        # The file comes later, when the rest is known to be right.
        return StepInput()
    output: SealedText | None = None
    if given.output != EVERY_OUTPUT:
        output = seal.seal(OUTPUT_FIELD, given.output)
    return StepInput(step=given.step, output=output)


async def _filled(
    principal: Principal,
    plans: Sequence[StepPlan],
    steps: Sequence[StepRequest],
    found: Mapping[Given, _Found],
    seal: Seal,
    blobs: ProvisionalBlobs,
) -> list[StepPlan]:
    """The plans with copies of their files, one of each however often it is taken."""
    copies: dict[Given, StepInput] = {}
    for given, known in found.items():
        assert known.file is not None  # noqa: S101 - or the plan would have been refused
        copies[given] = StepInput(await owned(known.file, principal.tenant, seal, blobs))
    return [
        replace(
            plan,
            inputs=tuple(
                copies.get(given, taken)
                for given, taken in zip(step.inputs, plan.inputs, strict=True)
            ),
        )
        for plan, step in zip(plans, steps, strict=True)
    ]


def _detail(field: str, error: DomainError) -> dict[str, str]:
    return {"field": field, "message": error.message, "code": error.code}


def _of_options(place: str, error: InvalidOptions) -> list[dict[str, str]]:
    details: list[dict[str, str]] = error.details.get("errors", [])
    return [
        {**each, "field": place if each["field"] == "options" else f"{place}.{each['field']}"}
        for each in details
    ] or [_detail(place, error)]


def _renamed(detail: dict[str, str], field: str) -> dict[str, str]:
    return {**detail, "field": field + detail["field"].removeprefix("steps")}
