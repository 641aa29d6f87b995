"""Owns the streams and consumers: what they are called, what they keep, and that they exist.

`declare` is the only code that makes or changes them. It is called by the migration and, again and
again, by the leading relay; it only asks while all is well, and mends what was lost or changed.
EVENTS is a copy of the log's end and may be made anew at any time: its readers keep their own
checkpoints, may get again what they know, and read a gap in the sequence numbers from Postgres.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final

import structlog
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    ConsumerInfo,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
)
from nats.js.errors import APIError, BadRequestError, NotFoundError

from events.contracts.subjects import (
    EVENTS_STREAM,
    EVENTS_SUBJECTS,
    READY_STREAM,
    READY_SUBJECTS,
    ready_subject,
)
from events.contracts.values import DEFAULT_QUEUE
from infrastructure.settings import NatsSettings

READY_MESSAGES_MAX: Final = 100_000
READY_BYTES_MAX: Final = 32 * 1024**2
QUEUES_MAX: Final = 200
ACK_SECONDS: Final = 30.0
EVENTS_PENDING_MAX: Final = 5_000
OFFERS_PENDING_MAX: Final = 10_000
CREATIONS_MAX: Final = 3
"""How often a stream that somebody else makes at the same moment is looked at again."""

_NAME_IN_USE: Final = 10058
"""JetStream's code for a name in use with other settings."""

log = structlog.get_logger(__name__)

FirstPosition = Callable[[], Awaitable[int]]
"""Asked only when something must be made: the first position that its readers still need."""


class StreamUnusable(Exception):
    """The stream EVENTS exists with settings that cannot be changed; `relay reconcile` mends it."""

    code: ClassVar[str] = "STREAM_UNUSABLE"


@dataclass(frozen=True, slots=True)
class Stream:
    """What one stream is to look like; `fixed` settings cannot be changed once it exists."""

    name: str
    changeable: dict[str, Any]
    fixed: dict[str, Any]
    is_disposable: bool

    def config(self) -> StreamConfig:
        """The settings for its creation."""
        return StreamConfig(name=self.name, **self.changeable, **self.fixed)


@dataclass(frozen=True, slots=True)
class Consumer:
    """What one durable consumer is to look like; its owner only names it."""

    name: str
    stream: str
    ack_policy: AckPolicy
    ack_seconds: float
    pending_max: int
    subject: str | None = None
    """None: everything in the stream."""
    starts_at_checkpoint: bool = False
    """Whether it may leave out what every owner of a checkpoint has seen."""

    @property
    def changeable(self) -> dict[str, Any]:
        """Settings that may be changed while it exists."""
        return {"ack_wait": self.ack_seconds, "max_ack_pending": self.pending_max}

    @property
    def fixed(self) -> dict[str, Any]:
        """Settings that need a new consumer."""
        return {"ack_policy": self.ack_policy.value, "filter_subject": self.subject}

    def config(self, first_position: int) -> ConsumerConfig:
        """The settings for its creation."""
        start: dict[str, Any] = {"deliver_policy": DeliverPolicy.ALL}
        if self.starts_at_checkpoint and first_position > 1:
            start = {
                "deliver_policy": DeliverPolicy.BY_START_SEQUENCE,
                "opt_start_seq": first_position,
            }
        return ConsumerConfig(
            name=self.name,
            durable_name=self.name,
            max_deliver=-1,
            **start,
            **self.changeable,
            **self.fixed,
        )


def _reader(name: str) -> Consumer:
    """A reader of EVENTS: one at a time, in order, so one answer stands for all before it."""
    return Consumer(
        name=name,
        stream=EVENTS_STREAM,
        ack_policy=AckPolicy.ALL,
        ack_seconds=ACK_SECONDS,
        pending_max=EVENTS_PENDING_MAX,
        starts_at_checkpoint=True,
    )


PROJECTOR: Final = _reader("projector")
DISPATCHER: Final = _reader("dispatcher")


def worker_consumer(queue: str) -> Consumer:
    """The consumer that the workers of one queue share."""
    return Consumer(
        name=f"worker-{queue}",
        stream=READY_STREAM,
        ack_policy=AckPolicy.EXPLICIT,
        ack_seconds=ACK_SECONDS,
        pending_max=OFFERS_PENDING_MAX,
        subject=ready_subject(queue),
    )


WORKER: Final = worker_consumer(DEFAULT_QUEUE)
CONSUMERS: Final = (PROJECTOR, DISPATCHER, WORKER)
"""Those that always exist; consumers of other queues are made by `declare_queue`."""


def streams(settings: NatsSettings) -> tuple[Stream, Stream]:
    """Both streams: EVENTS, READY."""
    replicas = settings.nats_stream_replicas
    events = Stream(
        EVENTS_STREAM,
        changeable={
            "subjects": [EVENTS_SUBJECTS],
            "max_bytes": settings.events_stream_bytes_max,
            "discard": DiscardPolicy.OLD.value,
            "num_replicas": replicas,
            "deny_delete": True,
            "deny_purge": True,
        },
        fixed={"retention": RetentionPolicy.LIMITS.value, "storage": StorageType.FILE.value},
        is_disposable=False,
    )
    # In memory: an offer lost with the server is made again, and one that needs no file was a
    # fifth faster in the median and twice in the 99th percentile.
    ready = Stream(
        READY_STREAM,
        changeable={
            "subjects": [READY_SUBJECTS],
            "max_msgs": READY_MESSAGES_MAX,
            "max_bytes": READY_BYTES_MAX,
            # A full stream refuses: the dispatcher must know that its offer was not made.
            "discard": DiscardPolicy.NEW.value,
            "num_replicas": replicas,
        },
        fixed={"retention": RetentionPolicy.WORK_QUEUE.value, "storage": StorageType.MEMORY.value},
        is_disposable=True,
    )
    return events, ready


async def declare(
    jetstream: JetStreamContext,
    settings: NatsSettings,
    first_position: FirstPosition,
    queues: Sequence[str] = (),
) -> StreamInfo:
    """Make sure that both streams and their consumers are there and right; tells of EVENTS.

    Raises StreamUnusable, and what nats-py raises when JetStream does not answer.
    """
    events, ready = streams(settings)
    workers = (worker_consumer(queue) for queue in queues if queue != DEFAULT_QUEUE)
    wanted = (*CONSUMERS, *workers)
    infos = await asyncio.gather(
        *(
            _declare_with_consumers(
                jetstream, stream, [c for c in wanted if c.stream == stream.name], first_position
            )
            for stream in (ready, events)
        )
    )
    return infos[-1]


async def declare_queue(jetstream: JetStreamContext, queue: str) -> Consumer:
    """Make sure that the consumer of a queue is there, for workers and the dispatcher.

    Raises NotFoundError while READY itself is lost; the relay makes it anew within moments.
    """
    consumer = worker_consumer(queue)
    existing = {info.name: info for info in await jetstream.consumers_info(READY_STREAM)}
    if consumer.name not in existing and len(existing) >= QUEUES_MAX:
        raise ValueError(f"there are {QUEUES_MAX} queues already")
    await _declare_consumer(jetstream, consumer, existing.get(consumer.name), _from_the_start)
    return consumer


async def _from_the_start() -> int:
    return 1


async def _declare_with_consumers(
    jetstream: JetStreamContext,
    stream: Stream,
    consumers: Sequence[Consumer],
    first_position: FirstPosition,
) -> StreamInfo:
    info = await _declare_stream(jetstream, stream, first_position)
    existing = {found.name: found for found in await jetstream.consumers_info(stream.name)}
    for consumer in consumers:
        await _declare_consumer(jetstream, consumer, existing.get(consumer.name), first_position)
    return info


async def _declare_stream(
    jetstream: JetStreamContext, stream: Stream, first_position: FirstPosition
) -> StreamInfo:
    for _ in range(CREATIONS_MAX):
        try:
            info = await jetstream.stream_info(stream.name)
        except NotFoundError:
            made = await _make_stream(jetstream, stream, first_position)
            if made is not None:
                return made
        else:
            return await _mend_stream(jetstream, stream, info, first_position)
    raise StreamUnusable(f"{stream.name} is made and deleted by somebody else")


async def _make_stream(
    jetstream: JetStreamContext, stream: Stream, first_position: FirstPosition
) -> StreamInfo | None:
    """Create it; None if somebody else just did."""
    first = 1 if stream.is_disposable else await first_position()
    config = stream.config().evolve(first_seq=first if first > 1 else None)
    try:
        info = await jetstream.add_stream(config)
    except BadRequestError as error:
        if error.err_code == _NAME_IN_USE:
            return None
        raise
    log.info("stream_created", stream=stream.name, first_position=first)
    return info


async def _mend_stream(
    jetstream: JetStreamContext, stream: Stream, info: StreamInfo, first_position: FirstPosition
) -> StreamInfo:
    if _differing(info.config, stream.fixed):
        if not stream.is_disposable:
            raise StreamUnusable(StreamUnusable.__doc__)
        await jetstream.delete_stream(stream.name)
        log.warning("stream_replaced", stream=stream.name)
        made = await _make_stream(jetstream, stream, first_position)
        return made or await jetstream.stream_info(stream.name)
    differing = _differing(info.config, stream.changeable)
    if not differing:
        return info
    log.warning("stream_mended", stream=stream.name, settings=sorted(differing))
    return await jetstream.update_stream(info.config.evolve(**stream.changeable))


async def _declare_consumer(
    jetstream: JetStreamContext,
    consumer: Consumer,
    existing: ConsumerInfo | None,
    first_position: FirstPosition,
) -> None:
    if existing is not None and _differing(existing.config, consumer.fixed):
        await jetstream.delete_consumer(consumer.stream, consumer.name)
        log.warning("consumer_replaced", consumer=consumer.name)
        existing = None
    if existing is None:
        await _make_consumer(jetstream, consumer, first_position)
    elif differing := _differing(existing.config, consumer.changeable):
        config = existing.config.evolve(**consumer.changeable)
        await jetstream.add_consumer(consumer.stream, config)
        log.warning("consumer_mended", consumer=consumer.name, settings=sorted(differing))


async def _make_consumer(
    jetstream: JetStreamContext, consumer: Consumer, first_position: FirstPosition
) -> None:
    first = await first_position() if consumer.starts_at_checkpoint else 1
    try:
        await jetstream.add_consumer(consumer.stream, consumer.config(first))
    except APIError:
        # Somebody else may have made it meanwhile, with another start.
        made = await jetstream.consumer_info(consumer.stream, consumer.name)
        if _differing(made.config, consumer.fixed):
            raise
    else:
        log.info("consumer_created", consumer=consumer.name, first_position=first)


def _differing(config: StreamConfig | ConsumerConfig, wanted: dict[str, Any]) -> set[str]:
    known = {each.name for each in fields(config)}
    return {
        name for name, value in wanted.items() if name in known and getattr(config, name) != value
    }
