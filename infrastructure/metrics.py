"""Every metric of the platform: its name, what it counts and its labels. This file is the contract.

Dashboards and alert rules rely on these names, so a name is added, never changed. All labels are
bounded: they come from code (routes, outcomes, projections), from `BoundedLabel`, or from the tools
that workers registered; never an id, a user or a file. Units stand last; each process serves its
own registry.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

OTHER = "other"
LABEL_VALUES_MAX = 200

REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REQUEST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ATTEMPT = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1_800.0)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)


def exposition() -> bytes:
    """All metrics of this process, in the text format of Prometheus."""
    return generate_latest(REGISTRY)


EXPOSITION_MEDIA_TYPE = CONTENT_TYPE_LATEST


class BoundedLabel:
    """Lets the first `limit` values through and calls every later one `other`.

    For labels that people choose, such as queue names: a metric must not grow with its users.
    """

    def __init__(self, limit: int = LABEL_VALUES_MAX) -> None:
        self._limit = limit
        self._seen: set[str] = set()

    def of(self, value: str) -> str:
        """The label for `value`."""
        if value in self._seen:
            return value
        if len(self._seen) >= self._limit:
            return OTHER
        self._seen.add(value)
        return value


QUEUE_LABEL = BoundedLabel()
TOOL_LABEL = BoundedLabel()


def _counter(name: str, what: str, *labels: str) -> Counter:
    return Counter(f"magictoolbox_{name}", what, labels, registry=REGISTRY)


def _gauge(name: str, what: str, *labels: str) -> Gauge:
    return Gauge(f"magictoolbox_{name}", what, labels, registry=REGISTRY)


def _histogram(name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"magictoolbox_{name}", what, labels, registry=REGISTRY, buckets=buckets)


# HTTP. `route` is the template (`/api/v1/jobs/{job_id}`), `unmatched` where no route was found.
HTTP_REQUEST_SECONDS = _histogram(
    "http_request_duration_seconds",
    "Time from the first byte of a request to the last of its answer.",
    _REQUEST,
    *("method", "route", "status"),
)
HTTP_REQUESTS_IN_PROGRESS = _gauge("http_requests_in_progress", "Requests being answered now.")
HTTP_RATE_LIMITED = _counter("http_rate_limited_total", "Requests answered 429.", "scope")
TOKENS_REFUSED = _counter("tokens_refused_total", "Access tokens refused.", "reason")
LOGINS = _counter("logins_total", "Logins tried: granted, refused, limited.", "outcome")
PASSWORD_SECONDS = _histogram(
    "password_hash_duration_seconds", "Time of one password hash, waiting included.", _FAST
)

# Postgres pools. `pool` names what it serves: `log`, `reads`, `work`, ….
POOL_SIZE = _gauge("pool_size", "Connections open.", "pool")
POOL_IN_USE = _gauge("pool_in_use", "Connections in use.", "pool")
POOL_WAITING = _gauge("pool_waiting", "Callers waiting for a connection.", "pool")
POOL_ACQUIRE_SECONDS = _histogram(
    "pool_acquire_duration_seconds", "Time a caller waited for a connection.", _FAST, "pool"
)

# The log.
APPENDS = _counter(
    "appends_total", "Appends by outcome: recorded, repeated, conflict, failed.", "outcome"
)
APPEND_CONFLICTS = _counter("append_conflicts_total", "Appends refused for a stale version.")
EVENTS_APPENDED = _counter("events_appended_total", "Events recorded in the log.")
APPEND_BATCH_EVENTS = _histogram("append_batch_events", "Events in one group commit.", _SIZES)
APPEND_BATCH_SECONDS = _histogram(
    "append_batch_duration_seconds", "Time of one group commit.", _FAST
)
APPEND_SECONDS = _histogram(
    "append_duration_seconds", "Time of one append, waiting for its batch included.", _FAST
)
APPENDS_WAITING = _gauge("appends_waiting", "Appends waiting for the next group commit.")
LOG_POSITION = _gauge("log_position", "The last position this process has seen recorded.")

# The relay.
RELAY_PUBLISHED = _counter("relay_published_total", "Events published to the stream.")
RELAY_POSITION = _gauge("relay_position", "The last position published.")
RELAY_LAG_EVENTS = _gauge("relay_lag_events", "Events recorded and not yet published.")
RELAY_LAG_SECONDS = _gauge("relay_lag_seconds", "Age of the oldest event not yet published.")
RELAY_RESYNCS = _counter("relay_resyncs_total", "Times the relay asked the stream.", "reason")
RELAY_HALTED = _gauge("relay_halted", "1 while log and stream disagree: reconcile them.")
RELAY_BATCH_SECONDS = _histogram(
    "relay_batch_duration_seconds", "Time of one published batch.", _FAST
)
BROKER_CONNECTED = _gauge("broker_connected", "1 while this process is connected to NATS.")
BROKER_RECONNECTS = _counter("broker_reconnects_total", "Connections to NATS made again.")
LEADER = _gauge("leader", "1 while this process leads the role.", "role")
LEADERSHIP_CHANGES = _counter(
    "leadership_changes_total", "Leaderships taken and lost.", "role", "change"
)

# The dispatcher. Queue names are the users': label them with QUEUE_LABEL.of(queue).
DISPATCHER_OFFERS = _counter("dispatcher_offers_total", "Jobs offered to workers.", "queue")
DISPATCHER_REOFFERS = _counter("dispatcher_reoffers_total", "Jobs offered again.", "queue")
DISPATCHER_POSITION = _gauge("dispatcher_position", "The last position folded into work.")
DISPATCHER_LAG_EVENTS = _gauge("dispatcher_lag_events", "Events not yet folded into work.")
QUEUE_DEPTH = _gauge("queue_depth", "Jobs that could run and do not yet.", "queue")
QUEUE_OLDEST_SECONDS = _gauge("queue_oldest_seconds", "Age of the oldest of them.", "queue")

# Workers. Tools can be plugged in: label them with TOOL_LABEL.of(tool).
ATTEMPTS = _counter(
    "attempts_total",
    "Attempts ended: succeeded, failed, retrying, cancelled, timed_out, lost, released.",
    *("tool", "outcome"),
)
ATTEMPT_SECONDS = _histogram("attempt_duration_seconds", "Time of one attempt.", _ATTEMPT, "tool")
ATTEMPTS_RUNNING = _gauge("attempts_running", "Attempts this worker runs now.")
WORKER_SLOTS = _gauge("worker_slots", "Attempts this worker could run at once.")
CLAIMS_LOST = _counter("claims_lost_total", "Offers that another worker had already claimed.")
LEASES_LOST = _counter("leases_lost_total", "Leases that a worker noticed it no longer held.")
LEASES_EXPIRED = _counter("leases_expired_total", "Leases the clock found silent and ended.")
LATE_OUTCOMES_REFUSED = _counter(
    "late_outcomes_refused_total", "Outcomes of stale leases that the log refused."
)
BEAT_SECONDS = _histogram("beat_duration_seconds", "Time of one heartbeat upsert.", _FAST)
JOBS_FAILED = _counter("jobs_failed_total", "Jobs that ended in the dead letter state.", "tool")

# The clock. `kind`: due, lease_expired, wait_expired, result_expired, schedule_refused, ….
CLOCK_FACTS = _counter("clock_facts_total", "Facts the clock appended.", "kind")

# Workflows.
WORKFLOWS_ENDED = _counter("workflows_ended_total", "Workflows that ran to their end.", "status")
WORKFLOW_JOBS_STARTED = _counter("workflow_jobs_started_total", "Jobs of steps that started.")

# Projections.
PROJECTION_POSITION = _gauge("projection_position", "The last position applied.", "projection")
PROJECTION_LAG_EVENTS = _gauge("projection_lag_events", "Events not yet applied.", "projection")
PROJECTION_LAG_SECONDS = _gauge(
    "projection_lag_seconds", "Age of the oldest event not yet applied.", "projection"
)
PROJECTION_EVENTS = _counter("projection_events_total", "Events applied.", "projection")
PROJECTION_BATCH_SECONDS = _histogram(
    "projection_batch_duration_seconds", "Time of one batch.", _FAST, "projection"
)
PROJECTION_BATCH_EVENTS = _histogram(
    "projection_batch_events", "Events in one batch.", _SIZES, "projection"
)
PROJECTION_GAPS = _counter(
    "projection_gaps_total", "Gaps in the stream read from the log.", "projection"
)
PROJECTION_PARKED = _counter(
    "projection_parked_total", "Events skipped or parked.", "projection", "reason"
)
POSITION_WAIT_SECONDS = _histogram(
    "position_wait_duration_seconds",
    "Time a reader waited for its own write; outcome: reached, gave_up.",
    _FAST,
    "outcome",
)

# Files.
UPLOADS = _counter("uploads_total", "Files received whole.")
UPLOAD_BYTES = _counter("upload_bytes_total", "Bytes of files received, refused ones included.")
UPLOADS_REFUSED = _counter("uploads_refused_total", "Requests with files refused.", "code")
UPLOADS_ABORTED = _counter("uploads_aborted_total", "Uploads that the client broke off.")
SCANS = _counter("scans_total", "Scans: clean, infected, failed, off.", "result")
SCAN_SECONDS = _histogram("scan_duration_seconds", "Wait for a verdict after a file.", _FAST)
BLOB_SYNC_SECONDS = _histogram("blob_sync_duration_seconds", "Time to make a blob durable.", _FAST)
BLOBS_DELETED = _counter("blobs_deleted_total", "Blobs deleted.", "reason")
BLOB_BYTES_SWEPT = _counter("blob_bytes_swept_total", "Bytes of blobs that nobody needed.")
BLOB_SWEEP_TIMESTAMP_SECONDS = _gauge(
    "blob_sweep_timestamp_seconds", "When all blobs had been looked at last (Unix time)."
)

# Long-lived services and the process. `service` is ServiceLoop's name, `kind` the error class.
SERVICE_RUNS = _counter("service_runs_total", "Runs: worked, idle, failed.", "service", "outcome")
SERVICE_RUN_SECONDS = _histogram(
    "service_run_duration_seconds", "Time of one run.", _FAST, "service"
)
SERVICE_ERRORS = _counter("service_errors_total", "Runs that failed.", "service", "kind")
SERVICE_COUNTS = _counter("service_counts_total", "What the runs counted.", "service", "what")
SERVICE_PROGRESS_TIMESTAMP_SECONDS = _gauge(
    "service_progress_timestamp_seconds", "When a run last succeeded (Unix time).", "service"
)
EVENT_LOOP_LAG_SECONDS = _histogram(
    "event_loop_lag_seconds", "How late the event loop woke a sleeper.", _FAST
)
READY = _gauge("ready", "1 while the last readiness report was good.")
READINESS_CHECK = _gauge("readiness_check", "1 while the check passes.", "check")
