"""Turns an offer into a claim, or finds out why not.

The claim is an event, `AttemptStarted`, and only one of many can be appended for a queued job. The
offer is acknowledged after that: from then on the lease protects the job, while an offer that comes
again could only lose. (If a worker dies between the two, the offer comes again, and finds the job
running.) What cannot be decided now goes back to READY, and comes again after a while.

A job names the version of its tool with which it was accepted. A worker that has another leaves it
to the others for a few seconds; if nobody has that version, it runs the one it has and says so.
"""

from dataclasses import dataclass
from typing import Final

import structlog

from events.contracts.values import JobStatus
from events.domain.errors import NotFound
from events.domain.job import Job
from events.store.codec import CodecError
from events.store.repository import LogUnavailable, Repository
from infrastructure import metrics
from infrastructure.clock import Clock, SystemClock
from processors.intake import Delivery
from processors.ready import BadOffer, Offer
from processors.reports import Reports
from processors.sandbox.demands import runs_inline
from processors.sandbox.run import Runner
from processors.slots import Place, Slots
from processors.tools.base import DocumentedError, ToolProcessingError
from processors.tools.registry import AnyTool, Registry, ToolNotFound, ToolUnavailable

UNAVAILABLE_PAUSE_SECONDS: Final = 1.0
ELSEWHERE_PAUSE_SECONDS: Final = 2.0
ELSEWHERE_TRIES_MAX: Final = 3
"""How often another worker gets the chance to run what is missing here: a tool, or its version."""
ALONE_SECONDS: Final = 60.0
"""For so long nobody is waited for any more who has a version that nobody had."""

log = structlog.get_logger(__name__)


class ToolMissing(DocumentedError):
    """No worker here can run this tool at the moment."""

    CODE = "TOOL_UNAVAILABLE"
    PERMANENT = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is ours to run."""

    job: Job
    tool: AnyTool | ToolProcessingError
    """Or the reason why it cannot be run here."""
    place: Place
    runner: Runner


class Claims:
    """Claims jobs for one worker."""

    def __init__(
        self,
        repository: Repository,
        registry: Registry,
        reports: Reports,
        slots: Slots,
        sandbox: Runner,
        inline: Runner | None,
        clock: Clock | None = None,
    ) -> None:
        """`inline` runs trusted tools; None: they go into the sandbox too."""
        self._repository = repository
        self._registry = registry
        self._reports = reports
        self._slots = slots
        self._sandbox = sandbox
        self._inline = inline
        self._clock = clock or SystemClock()
        self.is_closed = False
        """Whether the worker takes nothing more."""
        self._alone_until: dict[tuple[str, str], float] = {}

    async def claim(self, delivery: Delivery) -> Claim | None:
        """Claim what was offered; None if it is no work for us, and then its place is free."""
        job = await self._look_at(delivery)
        if job is None:
            self._slots.leave()
            return None
        tool = self._tool(job)
        if self._is_for_others(job, tool, delivery):
            self._slots.leave()
            await delivery.return_(ELSEWHERE_PAUSE_SECONDS)
            return None
        is_inline = not isinstance(tool, ToolProcessingError) and runs_inline(tool)
        place = self._slots.take(self._inline is not None and is_inline)
        if place is None:
            await delivery.return_()
            return None
        runner = self._inline if place is Place.INLINE and self._inline else self._sandbox
        if not await self._take(job, tool, runner, delivery):
            self._slots.give_up(place)
            return None
        return Claim(job, tool, place, runner)

    async def _look_at(self, delivery: Delivery) -> Job | None:
        """The job, if it can be claimed."""
        try:
            offer = Offer.parse(delivery.body)
            if self.is_closed:
                await delivery.return_()
                return None
            job = await self._repository.load(Job, offer.job_id)
        except (BadOffer, NotFound) as error:
            log.warning("offer_unusable", error=type(error).__name__, body=delivery.body[:80].hex())
            await delivery.ack()
            return None
        except LogUnavailable as error:
            log.debug("offer_undecided", error=repr(error))
            await delivery.return_(UNAVAILABLE_PAUSE_SECONDS)
            return None
        except CodecError:
            # Written by newer software. The dispatcher offers it again, perhaps to a newer worker.
            log.warning("offer_not_understood", job_id=str(offer.job_id), exc_info=True)
            await delivery.ack()
            return None
        if job.status is JobStatus.QUEUED:
            return job
        metrics.CLAIMS_LOST.inc()
        await delivery.ack()
        return None

    def _tool(self, job: Job) -> AnyTool | ToolProcessingError:
        try:
            return self._registry.get(job.tool)
        except (ToolNotFound, ToolUnavailable):
            return ToolMissing()

    def _is_for_others(
        self, job: Job, tool: AnyTool | ToolProcessingError, delivery: Delivery
    ) -> bool:
        """Whether a worker that is better equipped gets the chance first."""
        is_early = delivery.times < ELSEWHERE_TRIES_MAX
        if isinstance(tool, ToolProcessingError):
            return is_early
        if tool.version == job.tool_version:
            return False
        wanted, now = (tool.name, job.tool_version), self._clock.monotonic()
        if now < self._alone_until.get(wanted, 0.0):
            return False
        if not is_early:
            self._alone_until[wanted] = now + ALONE_SECONDS
            log.warning(
                "tool_version_differs", tool_id=tool.name, asked=job.tool_version, has=tool.version
            )
        return is_early

    async def _take(
        self, job: Job, tool: AnyTool | ToolProcessingError, runner: Runner, delivery: Delivery
    ) -> bool:
        """Append the claim; whoever loses the race lets the winner have it."""
        if self.is_closed:
            await delivery.return_()
            return False
        try:
            version = None if isinstance(tool, ToolProcessingError) else tool.version
            is_ours = await self._reports.claim(job, runner.isolation.level, version)
        except LogUnavailable as error:
            log.debug("claim_undecided", error=repr(error))
            await delivery.return_(UNAVAILABLE_PAUSE_SECONDS)
            return False
        if not is_ours:
            metrics.CLAIMS_LOST.inc()
        await delivery.ack()
        return is_ours
