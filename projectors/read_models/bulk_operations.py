"""One row for each bulk operation as it stands now."""

from sqlalchemy import (
    BigInteger,
    Boolean,
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

bulk_operations = Table(
    "bulk_operations",
    metadata,
    Column("bulk_id", Uuid, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("filter", JSONB, nullable=False),
    Column("labels", Text),
    Column("matched", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("requested_at", _TIME, nullable=False),
    Column("progressed_at", _TIME),
    Column("ended_at", _TIME),
    Column("version", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("bulk_id", name="bulk_operations_pkey"),
    Index("bulk_operations_newest", "tenant", "requested_at", "bulk_id"),
    Index("bulk_operations_owner", "tenant", "owner", "requested_at", "bulk_id"),
)
"""`labels` is sealed with the operation's own key; `filter` holds their tokens."""
