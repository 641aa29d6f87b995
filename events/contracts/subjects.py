"""Where facts travel on NATS: the only place where a stream, subject or header is spelled."""

from typing import Final

EVENTS_STREAM: Final = "EVENTS"
"""Every event of the log, in order; its sequence number of an event is the event's position."""
EVENTS_SUBJECTS: Final = "events.>"

READY_STREAM: Final = "READY"
"""Work-queue stream of job ids that may run now; disposable."""
READY_SUBJECTS: Final = "ready.>"

LOG_APPENDED: Final = "poke.log.appended"
"""Core poke after a commit; the relay wakes."""
PROJECTION_APPLIED: Final = "poke.projection.applied"
"""Core poke after a projection's commit; the body is `{"projection": …, "position": …}`."""
JOB_PROGRESS: Final = "progress"
"""Core prefix of live progress: `progress.<tenant>.<job id>`; never stored."""
CANCEL: Final = "cancel"
"""Core prefix that tells workers at once: `cancel.<job id>`; the beat is the safety net."""

HEADER_TOPIC: Final = "MT-Topic"
HEADER_AGGREGATE: Final = "MT-Aggregate"
HEADER_VERSION: Final = "MT-Version"
HEADER_POSITION: Final = "MT-Position"
HEADER_RECORDED_AT: Final = "MT-Recorded-At"
HEADER_TENANT: Final = "MT-Tenant"
HEADER_TRACEPARENT: Final = "traceparent"

_TOPIC_PREFIX: Final = "magictoolbox."


def event_subject(tenant: str, topic: str) -> str:
    """The subject of an event: `events.<tenant>.<aggregate>.<fact>`.

    Tenant names are `[a-z0-9-]`, so they are safe as a token; topics are ours.
    """
    return f"events.{tenant}.{topic.removeprefix(_TOPIC_PREFIX)}"


def events_of(topic: str, tenant: str = "*") -> str:
    """The core subscription that hears one kind of event, of one tenant or of all."""
    return event_subject(tenant, topic)


def ready_subject(queue: str) -> str:
    """The subject under which runnable jobs of a queue are offered."""
    return f"ready.{queue}"


def progress_subject(tenant: str, job_id: str) -> str:
    """The subject of one job's live progress."""
    return f"{JOB_PROGRESS}.{tenant}.{job_id}"


def cancel_subject(job_id: str) -> str:
    """The subject on which a worker hears that a job was called off."""
    return f"{CANCEL}.{job_id}"
