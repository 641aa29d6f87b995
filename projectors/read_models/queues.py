"""Queues and limits as operators see them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
)

from projectors.read_models.schema import metadata

queue_counters = Table(
    "queue_counters",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("jobs", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "queue", "status", name="queue_counters_pkey"),
)
"""How many jobs of each queue are in each state now; a row may stand at zero."""

queue_states = Table(
    "queue_states",
    metadata,
    Column("queue_id", Uuid, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("queue_id", name="queue_states_pkey"),
    Index("queue_states_tenant", "tenant", "queue"),
)
"""Only of queues that somebody ever paused."""

limits = Table(
    "limits",
    metadata,
    Column("limit_id", Uuid, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("subject_text", Text),
    Column("concurrency", BigInteger),
    Column("rate", BigInteger),
    Column("per_seconds", Double),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("limit_id", name="limits_pkey"),
    Index("limits_tenant", "tenant", "scope", "limit_id"),
)
"""One that was removed bounds nothing; `subject_text` is sealed with the limit's own key."""
