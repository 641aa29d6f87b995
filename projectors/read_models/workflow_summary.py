"""One row for each workflow as it stands now: its plan, and how far each of its steps is.

Text of clients stays sealed (`name`, `labels`) with the workflow's own key. The options and files
of its steps are not here: those of a step that was started are in the rows of its jobs.
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

workflow_summary = Table(
    "workflow_summary",
    metadata,
    Column("workflow_id", Uuid, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("name", Text),
    Column("labels", Text),
    Column("on_failure", Text, nullable=False),
    Column("round", BigInteger, nullable=False),
    Column("plan", JSONB, nullable=False),
    Column("steps", JSONB, nullable=False),
    Column("counts", JSONB, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("ended_at", _TIME),
    Column("version", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("workflow_id", name="workflow_summary_pkey"),
    Index("workflow_summary_newest", "tenant", "created_at", "workflow_id"),
    Index("workflow_summary_owner", "tenant", "owner", "created_at", "workflow_id"),
)
"""`plan` is a list, in the order of the client; `steps` has an object for each step that is no
longer pending, by its id, and `counts` how many steps and jobs ended how, as the last fact of a
round tells it.
"""
