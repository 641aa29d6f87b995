"""One row for each tool, as workers offered it last."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from projectors.read_models.schema import metadata

tool_catalogue = Table(
    "tool_catalogue",
    metadata,
    Column("name", Text, nullable=False),
    Column("tool_id", Uuid, nullable=False),
    Column("version", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("input_formats", JSONB, nullable=False),
    Column("output_formats", JSONB, nullable=False),
    Column("inputs_min", Integer, nullable=False),
    Column("inputs_max", Integer, nullable=False),
    Column("options_schema", JSONB, nullable=False),
    Column("attempts_max", Integer, nullable=False),
    Column("timeout_seconds", Double, nullable=False),
    Column("available", Boolean, nullable=False),
    Column("unavailable_reason", Text),
    Column("position", BigInteger, nullable=False),
    Column("cacheable", Boolean, nullable=False),
    Column("retry", JSONB),
    PrimaryKeyConstraint("name", name="tool_catalogue_pkey"),
    Index("tool_catalogue_tool_id", "tool_id", unique=True),
)
"""A tool that was introduced but never offered is there, unavailable, with an empty version.

`retry` is the whole policy but for the number of attempts; null until the tool was offered.
"""
