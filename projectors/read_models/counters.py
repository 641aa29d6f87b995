"""Counts of jobs, kept as they change, so that no dashboard ever counts over jobs."""

from sqlalchemy import BigInteger, Column, DateTime, PrimaryKeyConstraint, Table, Text

from projectors.read_models.schema import metadata

job_counters = Table(
    "job_counters",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("jobs", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "tool", "status", name="job_counters_pkey"),
)
"""How many jobs are in each state now; a row may stand at zero."""

outcome_counters = Table(
    "outcome_counters",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("hour", DateTime(timezone=True), nullable=False),
    Column("submitted", BigInteger, nullable=False),
    Column("succeeded", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("cancelled", BigInteger, nullable=False),
    Column("duration_ms_total", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "tool", "hour", name="outcome_counters_pkey"),
)
"""What happened in each hour of the facts' own time.

A job that is reopened and ends again counts again; `duration_ms_total` is that of the attempts
that succeeded, so its mean is over `succeeded`.
"""
