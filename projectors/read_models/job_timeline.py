"""One row for each event of each job: what happened, in order, ready to show."""

from sqlalchemy import BigInteger, Column, DateTime, PrimaryKeyConstraint, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from projectors.read_models.schema import metadata

job_timeline = Table(
    "job_timeline",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("details", JSONB, nullable=False),
    PrimaryKeyConstraint("job_id", "version", name="job_timeline_pkey"),
)
"""`details` holds what the event says beyond its envelope, sealed text only as ciphertext."""
