"""One row for each schedule as it stands now: its plan, the job that it submits, what came of it.

Text of clients stays sealed (`name`, and `options`, `labels` and names of files inside `template`)
with the schedule's own key. Its jobs are in `job_summary`.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from projectors.read_models.schema import metadata

_TIME = DateTime(timezone=True)

schedule_summary = Table(
    "schedule_summary",
    metadata,
    Column("schedule_id", Uuid, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("cron", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("missed", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("template", JSONB, nullable=False),
    Column("next_at", _TIME),
    Column("last_fired_at", _TIME),
    Column("last_job", Uuid),
    Column("fired", BigInteger, nullable=False),
    Column("passed_over", BigInteger, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("changed_at", _TIME, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("skipped_tick", _TIME),
    Column("skipped_because", Text),
    PrimaryKeyConstraint("schedule_id", name="schedule_summary_pkey"),
    Index("schedule_summary_newest", "tenant", "created_at", "schedule_id"),
    Index("schedule_summary_owner", "tenant", "owner", "created_at", "schedule_id"),
)
"""A deleted schedule keeps its row, for the history of its jobs; lists leave it out.

`passed_over` counts the times that got no job of their own; `changed_at` is when its terms or its
status changed last. `skipped_because` is the code of what kept the latest time of its plan from
having a job, null if it has one; `skipped_tick` is that time.
"""
