"""Offers runnable jobs on the stream READY, and finds out which offers were lost.

An offer is a hint, never a promise: a lost one is made again, a double one loses the claim. Every
worker serves every queue for now, so that all offers travel in one lane.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

import orjson
import structlog
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from events.contracts.subjects import READY_STREAM, ready_subject
from events.contracts.values import DEFAULT_QUEUE
from events.relay.streams import WORKER
from infrastructure.broker import UNAVAILABLE, Broker, Listening
from processors.lanes import Runnable

LANE: Final = DEFAULT_QUEUE
CONSUMER: Final = WORKER.name
ANSWER_SECONDS_MAX: Final = 2.0
BATCHES_UNANSWERED_MAX: Final = 1_000
_NOT_THERE: Final = (400, 404)
"""Answers of JetStream to the deletion of a message, or in a stream, that is not there."""

log = structlog.get_logger(__name__)


class BadOffer(ValueError):
    """What came out of READY is not an offer."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a worker is told: a job, and the version that queued it."""

    job_id: UUID
    version: int

    @property
    def body(self) -> bytes:
        """As a message: the event that queued the job, named as a cause is named."""
        return f"{self.job_id}/{self.version}".encode()

    @classmethod
    def parse(cls, body: bytes) -> "Offer":
        """Read a message; raises BadOffer."""
        job_id, _, version = body.decode(errors="replace").partition("/")
        try:
            return cls(UUID(job_id), int(version))
        except ValueError:
            raise BadOffer(BadOffer.__doc__) from None


class Ready(Protocol):
    """What the dispatcher needs of READY."""

    @property
    def is_reachable(self) -> bool:
        """Whether an offer has a chance to arrive."""
        ...

    async def clear(self) -> None:
        """Take back whatever is on offer."""
        ...

    async def offer(self, jobs: Sequence[Runnable]) -> None:
        """Offer these jobs, in order; sets the sequence of each when it becomes known."""
        ...

    async def lost(self, jobs: Sequence[Runnable]) -> Sequence[Runnable]:
        """Those of these offers that no worker will ever see, or that a worker let fall."""
        ...

    async def withdraw(self, jobs: Sequence[Runnable]) -> Sequence[Runnable]:
        """Take these offers back; those that nobody will see from now on."""
        ...


@dataclass(frozen=True, slots=True)
class _StreamState:
    created: str
    first: int
    last: int
    deleted: frozenset[int]
    delivered: int
    """The last one that was handed to a worker."""

    def holds(self, sequence: int) -> bool:
        return self.first <= sequence <= self.last and sequence not in self.deleted


class JetStreamReady:
    """READY in JetStream; made and mended by the relay."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._inbox = ""
        self._listening: Listening | None = None
        self._unanswered: OrderedDict[str, Sequence[Runnable]] = OrderedDict()
        self._batches = 0
        self._created = ""
        self._handed_out: set[int] = set()

    @property
    def is_reachable(self) -> bool:
        """See `Ready.is_reachable`."""
        return self._broker.connected

    async def clear(self) -> None:
        """See `Ready.clear`."""
        self._unanswered.clear()
        self._handed_out.clear()
        await self._ask(f"STREAM.PURGE.{READY_STREAM}")
        state = await self._state()
        self._created = "" if state is None else state.created

    async def offer(self, jobs: Sequence[Runnable]) -> None:
        """See `Ready.offer`."""
        await self._listen()
        client = self._broker.client
        subject = ready_subject(LANE)
        for job in jobs[:-1]:
            await client.publish(subject, Offer(job.job_id, job.version).body)
        last = Offer(jobs[-1].job_id, jobs[-1].version)
        # One connection and one writer: the answer to the last one tells the others' place too.
        await client.publish(subject, last.body, reply=self._expect_answer(jobs))

    async def lost(self, jobs: Sequence[Runnable]) -> Sequence[Runnable]:
        """See `Ready.lost`.

        A worker claims or returns within moments what it took. What was taken before the last look
        and is still there may lie with a worker that died: it is offered once more, and no more
        than once, as it may also have been returned and wait for a place.
        """
        state = await self._state()
        if state is None:
            return []
        if self._created and state.created != self._created:
            self._handed_out.clear()
            self._created = state.created
            return jobs
        self._created = state.created
        before, self._handed_out = self._handed_out, set()
        return [job for job in jobs if self._is_lost(job, state, before)]

    async def withdraw(self, jobs: Sequence[Runnable]) -> Sequence[Runnable]:
        """See `Ready.withdraw`. Whose place is not known yet has to wait for it."""
        known = [job for job in jobs if job.sequence is not None]
        try:
            answers = await asyncio.gather(*(self._delete(job.sequence) for job in known))
        except UNAVAILABLE as error:
            log.debug("offers_not_withdrawn", error=repr(error))
            return []
        return [job for job, is_gone in zip(known, answers, strict=True) if is_gone]

    async def _delete(self, sequence: int | None) -> bool:
        body = orjson.dumps({"seq": sequence, "no_erase": True})
        answer = await self._ask(f"STREAM.MSG.DELETE.{READY_STREAM}", body)
        # What is not there any more was answered by a worker, or lost with the stream.
        return "error" not in answer or answer["error"].get("code") in _NOT_THERE

    def _is_lost(self, job: Runnable, state: _StreamState, taken_before: set[int]) -> bool:
        if job.sequence is None or not state.holds(job.sequence):
            return True
        if job.is_repeated or job.sequence > state.delivered:
            return False
        self._handed_out.add(job.sequence)
        job.is_repeated = job.sequence in taken_before
        return job.is_repeated

    async def close(self) -> None:
        """Hear no more answers."""
        if self._listening is not None:
            await self._listening.unsubscribe()
            self._listening = None

    async def _listen(self) -> None:
        if self._listening is None:
            self._inbox = self._broker.client.new_inbox()
            self._listening = await self._broker.subscribe(f"{self._inbox}.*", self._answered)

    def _expect_answer(self, jobs: Sequence[Runnable]) -> str:
        self._batches += 1
        reply = f"{self._inbox}.{self._batches}"
        self._unanswered[reply] = jobs
        if len(self._unanswered) > BATCHES_UNANSWERED_MAX:
            self._unanswered.popitem(last=False)
        return reply

    def _answered(self, message: Msg) -> None:
        jobs = self._unanswered.pop(message.subject, None)
        if jobs is None or not message.data:
            return
        sequence = orjson.loads(message.data).get("seq")
        if sequence is None:
            log.warning("offer_refused", answer=message.data[:200].decode(errors="replace"))
            return
        for number, job in enumerate(reversed(jobs)):
            job.sequence = sequence - number

    async def _state(self) -> _StreamState | None:
        """How READY is doing; None while it is not there."""
        try:
            stream, consumer = await asyncio.gather(
                self._ask(f"STREAM.INFO.{READY_STREAM}", b'{"deleted_details":true}'),
                self._ask(f"CONSUMER.INFO.{READY_STREAM}.{CONSUMER}"),
            )
        except UNAVAILABLE as error:
            log.debug("ready_state_unknown", error=repr(error))
            return None
        if "error" in stream or "error" in consumer:
            return None
        return _StreamState(
            created=stream["created"],
            first=stream["state"]["first_seq"],
            last=stream["state"]["last_seq"],
            deleted=frozenset(stream["state"].get("deleted") or ()),
            delivered=consumer["delivered"]["stream_seq"],
        )

    async def _ask(self, what: str, body: bytes = b"") -> dict[str, Any]:
        try:
            answer = await self._broker.client.request(
                f"$JS.API.{what}", body, timeout=ANSWER_SECONDS_MAX
            )
        except NoRespondersError:
            return {"error": {"description": "JetStream is not there yet"}}
        return dict(orjson.loads(answer.data))
