"""Which blobs somebody needs, for the sweeper: a fold of the log with its own checkpoint.

Not among `work.checkpoints`: it reads the log and never the stream, so a stream that is made anew
need not begin where it stands.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261125_08_pre_blob_references"
down_revision = "20261125_07_pre_workers"

TABLES = """
CREATE TABLE work.blob_references (
    subject_id uuid NOT NULL,
    blob_id    uuid NOT NULL,
    part       text NOT NULL CHECK (part IN ('input', 'output')),
    PRIMARY KEY (subject_id, part, blob_id)
);
CREATE INDEX blob_references_blob ON work.blob_references (blob_id);

-- `counted`: the rows there must be. `place`: how far a pass over the blobs has come.
CREATE TABLE work.blob_checkpoint (
    position bigint NOT NULL,
    counted  bigint NOT NULL,
    place    text,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO work.blob_checkpoint (position, counted) VALUES (0, 0);

GRANT SELECT, INSERT, DELETE ON work.blob_references TO mt_processors;
GRANT SELECT, UPDATE ON work.blob_checkpoint TO mt_processors;
"""


def upgrade() -> None:
    execute_script(op, TABLES)


def downgrade() -> None:
    execute_script(op, "DROP TABLE work.blob_references, work.blob_checkpoint")
