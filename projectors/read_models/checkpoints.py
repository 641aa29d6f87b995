"""Where the projections stand: checkpoints, generations, and the events they could not fold.

These are tables, not views: they outlive every generation.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)

from projectors.read_models.schema import metadata

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("name", Text, nullable=False),
    Column("shard", Integer, nullable=False, server_default=text("0")),
    Column("position", BigInteger, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("name", "shard", name="checkpoints_pkey"),
)
"""The last position applied by each live projection; it moves in the transaction of the rows."""

generations = Table(
    "generations",
    metadata,
    Column("projection_group", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("switched_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("projection_group", "generation", name="generations_pkey"),
    Index(
        "generations_one_live",
        "projection_group",
        unique=True,
        postgresql_where=text("state = 'live'"),
    ),
)
"""Each set of tables of a group: `building`, `live` or `retired` (kept to switch back to).

`position` is exact for what is not live; for the live one the checkpoints say it.
"""

parked_events = Table(
    "parked_events",
    metadata,
    Column("projection_group", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("aggregate_id", Uuid, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("parked_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("projection_group", "generation", "position", name="parked_events_pkey"),
    Index("parked_events_aggregate", "projection_group", "generation", "aggregate_id"),
)
"""Events that could not be folded, and all later ones of the same aggregate; see the log for them.

`reason` is `unknown_topic`, `unreadable`, `fold_failed` or `follows_parked`.
"""
