"""One row for each job as it stands now: lists, filters and the page of one job.

Text of clients stays sealed (`options`, `labels`, `error_message`, names inside `inputs` and
`outputs`); whoever answers opens it with the job's key. Times are those of the facts.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from projectors.read_models.schema import metadata

_TIME = DateTime(timezone=True)

job_summary = Table(
    "job_summary",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("tool_version", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("attempts_max", Integer, nullable=False),
    Column("lease", BigInteger, nullable=False),
    Column("worker", Text),
    Column("options", Text, nullable=False),
    Column("inputs", JSONB, nullable=False),
    Column("outputs", JSONB, nullable=False),
    Column("labels", Text),
    Column("label_tokens", ARRAY(Text)),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("correlation_id", Text, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("queued_at", _TIME),
    Column("started_at", _TIME),
    Column("finished_at", _TIME),
    Column("due_at", _TIME),
    Column("expires_at", _TIME),
    Column("result_expired", Boolean, nullable=False),
    Column("duration_ms", BigInteger),
    Column("timeout_seconds", Double, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("queue_seconds_max", Double),
    Column("schedule_id", Uuid),
    Column("reused_from", Uuid),
    Column("workflow_id", Uuid),
    Column("step", Text),
    Column("notes", Text),
    PrimaryKeyConstraint("job_id", name="job_summary_pkey"),
    Index("job_summary_newest", "tenant", "created_at", "job_id"),
    Index("job_summary_owner", "tenant", "owner", "created_at", "job_id"),
    Index("job_summary_status", "tenant", "status", "created_at", "job_id"),
    Index(
        "job_summary_waiting",
        "tenant",
        "queue",
        "queued_at",
        postgresql_where=text("status = 'queued'"),
    ),
    Index("job_summary_tool", "tenant", "tool", "created_at", "job_id"),
    Index(
        "job_summary_schedule",
        "schedule_id",
        "created_at",
        postgresql_where=text("schedule_id IS NOT NULL"),
    ),
    Index(
        "job_summary_workflow",
        "workflow_id",
        "created_at",
        "job_id",
        postgresql_where=text("workflow_id IS NOT NULL"),
    ),
    Index(
        "job_summary_labels",
        "label_tokens",
        postgresql_using="gin",
        # Null stands for "no labels", so that jobs without any cost this index nothing; `@>` and
        # `&&` are strict, so the planner knows that the index has all they can find.
        postgresql_where=text("label_tokens IS NOT NULL"),
    ),
)
"""`worker`, `started_at` and `duration_ms` are those of the latest attempt.

Keyset pages of the newest first read an index backwards: `(created_at, job_id) < (…, …)`.
"""
