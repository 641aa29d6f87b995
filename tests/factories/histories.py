"""Makes logs of jobs that live every kind of life, at random but always the same for one seed."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from events.contracts.bulk import BulkAction
from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from events.contracts.limit import LimitScope
from events.contracts.values import FileRef, JobStatus, Origin, SealedText
from events.contracts.workflow import WorkflowStatus
from events.domain.bulk import BulkFilter, BulkOperation
from events.domain.job import WAITING, Failure, Job, JobRequest
from events.domain.limit import Bounds, Limit
from events.domain.queue import Queue
from events.domain.schedule import Missed, Plan, Schedule, Template
from events.domain.tool import Offer, Tool
from events.domain.upload import Upload
from events.domain.workflow import Workflow, WorkflowRequest
from events.domain.workflow_plan import StepPlan
from events.store.codec import Codec
from tests.fixtures.events import NOON

STEPS_MAX = 14
TENANTS = ("acme", "globex")
TOOLS = ("no-op", "checksum", "image-converter")


class Histories:
    """Invents what happens, one fact after the other, by the rules of the aggregates."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now: datetime = NOON
        self._commands = 0

    def origin(self, tenant: str = "acme") -> Origin:
        """The envelope of the next command, a while after the last."""
        self.now += timedelta(milliseconds=self.random.randrange(1, 400_000))
        self._commands += 1
        return Origin(
            tenant=tenant,
            actor=self.random.choice(("user:1", "worker:7", "clock")),
            command_id=str(UUID(int=self.random.getrandbits(128))),
            correlation_id=f"request-{self._commands}",
            causation_id=f"request-{self._commands}",
            at=self.now,
        )

    def new_id(self) -> UUID:
        """An id of no particular order."""
        return UUID(int=self.random.getrandbits(128), version=4)

    def file(self) -> FileRef:
        """One file."""
        return FileRef(
            name=SealedText(f"s1.{self.random.getrandbits(40):x}"),
            media_type="image/png",
            size_bytes=self.random.randrange(1, 10**6),
            sha256=f"{self.random.getrandbits(256):064x}",
            blob_key=f"acme/{self.new_id()}",
        )

    def submit(self) -> Job:
        """A new job."""
        tokens = self.random.sample(('a"b', "c,d", "e\\f", "{g}"), self.random.randrange(3))
        request = JobRequest(
            owner=self.random.choice(("user:1", "user:2")),
            tool=self.random.choice(TOOLS),
            tool_version="1",
            options=SealedText("s1.options"),
            inputs=[self.file() for _ in range(self.random.randrange(3))],
            queue=self.random.choice(("default", "default", "bulk")),
            priority=self.random.randrange(-3, 4),
            limit_key=self.random.choice((None, None, "k1", "k2")),
            run_at=self.now + timedelta(days=1) if self.random.random() < 0.2 else None,
            labels=SealedText("s1.labels") if tokens else None,
            label_tokens=tokens,
            attempts_max=self.random.randrange(1, 4),
            retention_seconds=self.random.choice((1, 10**6)),
            queue_seconds_max=self.random.choice((None, None, 60.0)),
            schedule=self.new_id() if self.random.random() < 0.1 else None,
            **self._part_of(self.random.random() < 0.1),
        )
        return Job.submit(self.new_id(), request, self.origin(self.random.choice(TENANTS)))

    def step(self, job: Job) -> None:
        """Let one thing happen to a job that may happen to it now."""
        origin = self.origin(job.tenant)
        if self.random.random() < 0.05:
            job.refuse_outcome(job.lease, "succeeded", "worker:9", origin)
        elif job.status in WAITING and self.random.random() < 0.1:
            job.reprioritise(self.random.randrange(-3, 4), origin)
        elif job.status is JobStatus.RUNNING:
            self._end_attempt(job, origin)
        elif job.wait_until and job.status is JobStatus.QUEUED and job.wait_until <= origin.at:
            job.expire_wait(origin)
        elif job.status is JobStatus.QUEUED and not job.lease and self.random.random() < 0.05:
            job.reuse(self.new_id(), [self.file()], origin)
        elif job.status is JobStatus.QUEUED and self.random.random() < 0.9:
            job.start_attempt(f"worker:{self.random.randrange(3)}", "process", origin)
        elif job.status in (JobStatus.SCHEDULED, JobStatus.RETRYING):
            job.become_due(origin)
        elif not job.status.is_final:
            job.cancel(origin)
        elif job.status is not JobStatus.SUCCEEDED and job.workflow is None:
            job.reopen(origin)
        elif not job.result_expired and job.expires_at and job.expires_at <= origin.at:
            job.expire_result(origin)

    def _part_of(self, workflow: bool) -> dict[str, Any]:
        return {"workflow": self.new_id(), "step": "a"} if workflow else {}

    def _end_attempt(self, job: Job, origin: Origin) -> None:
        chance = self.random.random()
        if chance < 0.5:
            notes = SealedText("s1.notes") if chance < 0.1 else None
            job.succeed(job.lease, [self.file()], 25, {"cpu_seconds": 0.5}, origin, notes)
        elif chance < 0.7:
            failure = Failure("TIMEOUT", SealedText("s1.error"), permanent=chance < 0.55)
            job.fail(job.lease, failure, 30, {}, 0.5, origin)
        elif chance < 0.8:
            job.expire_attempt(job.lease, origin)
        elif chance < 0.9:
            job.hand_back(job.lease, origin)
        else:
            job.cancel(origin)

    def tool(self, name: str) -> list[AnyFact]:
        """A tool that is offered, and offered again in another version."""
        tool = Tool.introduce(name, self.origin("platform"))
        for version in ("1", "2"):
            offer = Offer(
                *(version, "Does it.", ["image/*"], ["image/webp"], 1, 3),
                *({"type": "object", "title": f"v{version}"}, 5, 60.0),
                cacheable=version == "2",
                retry={"factor": 3.0} if version == "2" else None,
            )
            tool.offer(offer, self.origin("platform"))
        return facts_of(tool)

    def schedule(self) -> list[AnyFact]:
        """A schedule that is fired, passed over, changed, paused and perhaps deleted."""
        origin = self.origin(self.random.choice(TENANTS))
        template = Template("no-op", SealedText("s1.options"), label_tokens=("a", "b"))
        plan = Plan("*/5 * * * *", "Europe/Vienna", self.random.choice(list(Missed)))
        schedule = Schedule.create(self.new_id(), SealedText("s1.name"), plan, template, origin)
        for _ in range(self.random.randrange(8)):
            self.now += timedelta(minutes=self.random.randrange(12))
            at, chance = self.origin(schedule.tenant), self.random.random()
            if schedule.is_paused:
                schedule.resume(at)
            elif schedule.next_at and schedule.next_at <= at.at:
                if chance < 0.2:
                    schedule.forgo("TOOL_UNAVAILABLE", at)
                else:
                    schedule.fire(self.new_id(), at)
            elif chance < 0.3:
                schedule.fire_now(self.new_id(), at)
            elif chance < 0.6:
                schedule.change(SealedText("s1.other"), Plan("0 * * * *"), template, at)
            else:
                schedule.pause(at)
        if self.random.random() < 0.2:
            schedule.delete(self.origin(schedule.tenant))
        return facts_of(schedule)

    def queue(self) -> list[AnyFact]:
        """A queue that is paused, resumed and perhaps paused again."""
        queue = Queue.introduce(f"queue-{self.seed}", self.origin(self.random.choice(TENANTS)))
        for _ in range(self.random.randrange(1, 4)):
            at = self.origin(queue.tenant)
            if queue.is_paused:
                queue.resume(at)
            else:
                queue.pause(at)
        return facts_of(queue)

    def limit(self) -> list[AnyFact]:
        """A limit that is set, and perhaps set otherwise or removed."""
        origin = self.origin(self.random.choice(TENANTS))
        limit = Limit.introduce(LimitScope.TOOL, f"tool-{self.seed}-a", None, origin)
        for number in range(self.random.randrange(1, 4)):
            limit.set(Bounds(concurrency=number + 1), self.origin(limit.tenant))
        if self.random.random() < 0.2:
            limit.remove(self.origin(limit.tenant))
        return facts_of(limit)

    def bulk(self) -> list[AnyFact]:
        """A bulk operation that comes some way, and is finished or called off."""
        origin = self.origin(self.random.choice(TENANTS))
        wanted = BulkFilter([JobStatus.FAILED], tool=self.random.choice(TOOLS))
        bulk = BulkOperation.request(
            self.new_id(), BulkAction.RETRY, wanted, None, origin, dry_run=False
        )
        tally = bulk.tally
        for _ in range(self.random.randrange(3)):
            tally.cursor = self.new_id()
            tally.matched += 2
            tally.changed += 1
            bulk.progress(tally, self.origin(bulk.tenant))
        if self.random.random() < 0.8:
            bulk.finish(tally, self.origin(bulk.tenant))
        else:
            bulk.cancel(self.origin(bulk.tenant))
        return facts_of(bulk)

    def workflow(self) -> list[AnyFact]:
        """A workflow some steps of which run, whose jobs end one by one, perhaps more than once."""
        plans = [_step("a"), _step("b"), _step("c", "a", "b"), _step("d", "c")]
        request = WorkflowRequest("user:1", plans, labels=SealedText("s1.labels"))
        origin = self.origin(self.random.choice(TENANTS))
        workflow = Workflow.submit(self.new_id(), request, origin)
        for _ in range(self.random.randrange(16)):
            at, chance = self.origin(workflow.tenant), self.random.random()
            if workflow.status is WorkflowStatus.SUCCEEDED:
                break
            if workflow.status.is_final:
                workflow.reopen(self.random.choice((None, "a", "*")), at)
            elif chance < 0.05:
                workflow.cancel(at)
            elif chance < 0.5 and (ready := workflow.ready()):
                self.begin(workflow, self.random.choice(ready).id, at)
            else:
                self.end_some(workflow, at)
        return facts_of(workflow)

    def begin(self, workflow: Workflow, step: str, at: Origin) -> None:
        """A step is started with a few jobs, with none, or cannot be."""
        if self.random.random() < 0.1:
            workflow.fail_step(step, "INPUT_GONE", at)
        else:
            kept = len(workflow.steps[step].kept)
            workflow.start_step(step, kept or self.random.randrange(4), at)

    def end_some(self, workflow: Workflow, at: Origin) -> None:
        """Some jobs of the workflow end, for the first time or once more."""
        jobs = [job for state in workflow.steps.values() for job in state.jobs]
        some = self.random.sample(jobs, self.random.randrange(len(jobs) + 1))
        ends = ("succeeded", "succeeded", "succeeded", "failed", "cancelled")
        workflow.note_ended({job: self.random.choice(ends) for job in some}, at)

    def upload(self) -> list[AnyFact]:
        """An upload, which no read model shows."""
        expires = self.now + timedelta(hours=1)
        return facts_of(
            Upload.receive(self.new_id(), "user:1", self.file(), expires, self.origin())
        )

    def log(self, jobs: int) -> list[RecordedRow]:
        """A log of so many jobs, their facts mixed, with some of every other kind among them.

        Logs of different seeds have nothing in common, so one may follow the other.
        """
        facts = [*self.tool(f"tool-{self.seed}-a"), *self.tool(f"tool-{self.seed}-b")]
        alive: list[tuple[Job, int]] = []
        begun = 0
        while begun < jobs or alive:
            if begun < jobs and (not alive or self.random.random() < 0.3):
                begun += 1
                job, steps = self.submit(), self.random.randrange(STEPS_MAX)
                facts += self.upload() if self.random.random() < 0.2 else []
                facts += self.schedule() if self.random.random() < 0.1 else []
                facts += self.workflow() if self.random.random() < 0.1 else []
            else:
                job, steps = alive.pop(self.random.randrange(len(alive)))
                self.step(job)
                steps -= 1
            facts += facts_of(job)
            if steps > 0:
                alive.append((job, steps))
        return recorded([*facts, *self.queue(), *self.limit(), *self.bulk()])


def _step(name: str, *after: str) -> StepPlan:
    return StepPlan(name, "no-op", SealedText("s1.options"), after=after)


def facts_of(aggregate: object) -> list[AnyFact]:
    """What an aggregate has decided since it was last asked."""
    return list(aggregate.collect_events())  # type: ignore[attr-defined]


def recorded(facts: Sequence[AnyFact], after: int = 0) -> list[RecordedRow]:
    """The facts as rows of a log."""
    return list(_recorded(facts, after))


def _recorded(facts: Sequence[AnyFact], after: int) -> Iterator[RecordedRow]:
    codec = Codec()
    for position, fact in enumerate(facts, after + 1):
        stored = codec.to_stored_event(fact)
        yield RecordedRow(
            position=position,
            originator_id=fact.originator_id,
            originator_version=fact.originator_version,
            topic=stored.topic,
            state=stored.state,
            tenant=fact.tenant,
            recorded_at=fact.timestamp,
        )
