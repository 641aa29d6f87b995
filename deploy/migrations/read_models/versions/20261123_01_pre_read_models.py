"""The read models: checkpoints, generations, and the first generation of tables behind views.

The projectors own everything here, because they drop and rebuild it; the query API may only select.
"""

from alembic import op

from deploy.migrations.environment import execute_script

revision = "20261123_01_pre_read_models"
down_revision = None

# The read models may live in another cluster than the log, where nobody has made the roles yet.
ROLE = """
DO $$ BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$;
DO $$ BEGIN
    IF NOT pg_has_role(current_user, '{role}', 'SET') THEN
        GRANT {role} TO CURRENT_USER;
    END IF;
EXCEPTION WHEN unique_violation THEN
    NULL;
END $$;
"""

SCHEMA = """
CREATE SCHEMA read_models;
GRANT USAGE, CREATE ON SCHEMA read_models TO mt_projectors;
GRANT USAGE ON SCHEMA read_models TO mt_query_api, mt_relay;
ALTER DEFAULT PRIVILEGES FOR ROLE mt_projectors IN SCHEMA read_models
    GRANT SELECT ON TABLES TO mt_query_api;
SET LOCAL ROLE mt_projectors;
"""

BOOKKEEPING = """
CREATE TABLE read_models.checkpoints (
    name       text NOT NULL,
    shard      int NOT NULL DEFAULT 0,
    position   bigint NOT NULL,
    generation int NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT checkpoints_pkey PRIMARY KEY (name, shard)
);

-- A stream that was lost is filled again from the lowest checkpoint.
GRANT SELECT ON read_models.checkpoints TO mt_relay;

CREATE TABLE read_models.generations (
    projection_group text NOT NULL,
    generation       int NOT NULL,
    state            text NOT NULL,
    fingerprint      text NOT NULL,
    position         bigint NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    switched_at      timestamptz,
    CONSTRAINT generations_pkey PRIMARY KEY (projection_group, generation)
);
CREATE UNIQUE INDEX generations_one_live
    ON read_models.generations (projection_group) WHERE state = 'live';

CREATE TABLE read_models.parked_events (
    projection_group text NOT NULL,
    generation       int NOT NULL,
    position         bigint NOT NULL,
    aggregate_id     uuid NOT NULL,
    version          bigint NOT NULL,
    topic            text NOT NULL,
    reason           text NOT NULL,
    parked_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT parked_events_pkey PRIMARY KEY (projection_group, generation, position)
);
CREATE INDEX parked_events_aggregate
    ON read_models.parked_events (projection_group, generation, aggregate_id);
"""

JOBS = """
CREATE TABLE read_models.job_summary_1 (
    job_id          uuid NOT NULL,
    tenant          text NOT NULL,
    owner           text NOT NULL,
    tool            text NOT NULL,
    tool_version    text NOT NULL,
    queue           text NOT NULL,
    priority        int NOT NULL,
    status          text NOT NULL,
    attempt         int NOT NULL,
    attempts_max    int NOT NULL,
    lease           bigint NOT NULL,
    worker          text,
    options         text NOT NULL,
    inputs          jsonb NOT NULL,
    outputs         jsonb NOT NULL,
    labels          text,
    label_tokens    text[],
    error_code      text,
    error_message   text,
    correlation_id  text NOT NULL,
    created_at      timestamptz NOT NULL,
    queued_at       timestamptz,
    started_at      timestamptz,
    finished_at     timestamptz,
    due_at          timestamptz,
    expires_at      timestamptz,
    result_expired  boolean NOT NULL,
    duration_ms     bigint,
    timeout_seconds double precision NOT NULL,
    version         bigint NOT NULL,
    position        bigint NOT NULL,
    CONSTRAINT job_summary_pkey_1 PRIMARY KEY (job_id)
);
CREATE INDEX job_summary_newest_1 ON read_models.job_summary_1 (tenant, created_at, job_id);
CREATE INDEX job_summary_owner_1 ON read_models.job_summary_1 (tenant, owner, created_at, job_id);
CREATE INDEX job_summary_status_1 ON read_models.job_summary_1 (tenant, status, created_at, job_id);
CREATE INDEX job_summary_tool_1 ON read_models.job_summary_1 (tenant, tool, created_at, job_id);
CREATE INDEX job_summary_labels_1
    ON read_models.job_summary_1 USING gin (label_tokens) WHERE label_tokens IS NOT NULL;

CREATE TABLE read_models.job_timeline_1 (
    job_id      uuid NOT NULL,
    version     bigint NOT NULL,
    tenant      text NOT NULL,
    position    bigint NOT NULL,
    topic       text NOT NULL,
    actor       text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    details     jsonb NOT NULL,
    CONSTRAINT job_timeline_pkey_1 PRIMARY KEY (job_id, version)
);
"""

TOOLS = """
CREATE TABLE read_models.tool_catalogue_1 (
    name               text NOT NULL,
    tool_id            uuid NOT NULL,
    version            text NOT NULL,
    description        text NOT NULL,
    input_formats      jsonb NOT NULL,
    output_formats     jsonb NOT NULL,
    inputs_min         int NOT NULL,
    inputs_max         int NOT NULL,
    options_schema     jsonb NOT NULL,
    attempts_max       int NOT NULL,
    timeout_seconds    double precision NOT NULL,
    available          boolean NOT NULL,
    unavailable_reason text,
    position           bigint NOT NULL,
    CONSTRAINT tool_catalogue_pkey_1 PRIMARY KEY (name)
);
CREATE UNIQUE INDEX tool_catalogue_tool_id_1 ON read_models.tool_catalogue_1 (tool_id);
"""

COUNTERS = """
CREATE TABLE read_models.job_counters_1 (
    tenant text NOT NULL,
    tool   text NOT NULL,
    status text NOT NULL,
    jobs   bigint NOT NULL,
    CONSTRAINT job_counters_pkey_1 PRIMARY KEY (tenant, tool, status)
);

CREATE TABLE read_models.outcome_counters_1 (
    tenant            text NOT NULL,
    tool              text NOT NULL,
    hour              timestamptz NOT NULL,
    submitted         bigint NOT NULL,
    succeeded         bigint NOT NULL,
    failed            bigint NOT NULL,
    cancelled         bigint NOT NULL,
    duration_ms_total bigint NOT NULL,
    CONSTRAINT outcome_counters_pkey_1 PRIMARY KEY (tenant, tool, hour)
);
"""

NAMES = ("job_summary", "job_timeline", "tool_catalogue", "job_counters", "outcome_counters")

VIEW = "CREATE VIEW read_models.{name} AS SELECT * FROM read_models.{name}_1"
CHECKPOINT = (
    "INSERT INTO read_models.checkpoints (name, position, generation) VALUES ('{name}', 0, 1)"
)
GENERATION = """
INSERT INTO read_models.generations (projection_group, generation, state, fingerprint, position)
VALUES ('platform', 1, 'live',
        'job_counters=1,job_summary=1,job_timeline=1,outcome_counters=1,tool_catalogue=1', 0)
"""


def upgrade() -> None:
    for role in ("mt_projectors", "mt_query_api", "mt_relay"):
        execute_script(op, ROLE.format(role=role))
    for script in (SCHEMA, BOOKKEEPING, JOBS, TOOLS, COUNTERS, GENERATION):
        execute_script(op, script)
    for name in NAMES:
        execute_script(op, VIEW.format(name=name))
        execute_script(op, CHECKPOINT.format(name=name))
    execute_script(op, "RESET ROLE")


def downgrade() -> None:
    execute_script(op, "DROP SCHEMA read_models CASCADE")
